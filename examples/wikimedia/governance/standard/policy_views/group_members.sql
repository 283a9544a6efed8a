-- What policies on group_members see beside the row itself: its key as one text, and whether group and person are known.
SELECT
    m.*,
    m.support_group_id || '/' || m.owner_id AS membership,
    m.support_group_id IN (SELECT support_group_id FROM own.support_groups) AS is_group_known,
    m.owner_id IN (SELECT owner_id FROM own.owners) AS is_person_known
FROM dataset AS m
