-- What policies on configuration_items see beside the row itself: whether its support group is known.
SELECT
    c.*,
    c.support_group_id IN (SELECT support_group_id FROM own.support_groups) AS is_group_known
FROM dataset AS c
