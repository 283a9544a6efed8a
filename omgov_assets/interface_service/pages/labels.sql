-- Names for people: one row for each kind (a CI class, support_group, owner) and key.
SELECT kind, key, min(label) AS label
FROM (
    SELECT dimension AS kind, key, label FROM rankings WHERE label <> key
    UNION ALL
    SELECT 'support_group', support_group_id, name FROM support_groups
    UNION ALL
    SELECT ci_class, ci_id, name FROM configuration_items
    UNION ALL
    SELECT 'owner', owner_id, name FROM owners
)
WHERE key IS NOT NULL AND label IS NOT NULL
GROUP BY kind, key
