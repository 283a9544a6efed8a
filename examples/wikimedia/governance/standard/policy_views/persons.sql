-- What policies on persons see beside the row itself: in how many groups the person is, and an expiry that has passed
-- although the account is still there.
WITH memberships AS (
    SELECT owner_id, count(DISTINCT support_group_id) AS group_count
    FROM own.group_members
    GROUP BY owner_id
)
SELECT
    p.*,
    coalesce(m.group_count, 0) AS group_count,
    if(p.ensure = 'present' AND p.expiry_date < p.day, p.expiry_date, NULL) AS expired_on
FROM dataset AS p
LEFT JOIN memberships AS m ON p.owner_id = m.owner_id
