-- Names for people: one row for each kind (a CI class, support_group, owner) and key.
WITH named AS (
    SELECT ci_class AS kind, ci_id AS key, name AS label, _batch_id, _record_no FROM configuration_items
    UNION ALL BY NAME
    SELECT 'support_group' AS kind, support_group_id AS key, name AS label, _batch_id, _record_no FROM support_groups
    UNION ALL BY NAME
    SELECT 'owner' AS kind, owner_id AS key, name AS label, _batch_id, _record_no FROM owners
)
-- What the CMDB lists twice bears the name of its first record.
SELECT kind, key, label
FROM named
QUALIFY row_number() OVER (PARTITION BY kind, key ORDER BY _batch_id, _record_no) = 1
