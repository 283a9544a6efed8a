-- What policies on support_groups see beside the row itself: how many persons are in the group.
WITH members AS (
    SELECT support_group_id, count(DISTINCT owner_id) AS member_count
    FROM own.group_members
    GROUP BY support_group_id
)
SELECT
    g.*,
    coalesce(m.member_count, 0) AS member_count
FROM dataset AS g
LEFT JOIN members AS m ON g.support_group_id = m.support_group_id
