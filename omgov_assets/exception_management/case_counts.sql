-- What the members of each case come to. A case is an owner's who has more than half of its open members.
WITH owners_of AS (
    SELECT case_id, owner_id
    FROM (
        SELECT case_id, owner_id, count(*) AS members, sum(count(*)) OVER (PARTITION BY case_id) AS open_members
        FROM members
        WHERE state = 'open'
        GROUP BY case_id, owner_id
    )
    WHERE owner_id IS NOT NULL AND 2 * members > open_members
)
SELECT
    case_id,
    ['critical', 'warning', 'info'][min(list_position(['critical', 'warning', 'info'], severity))] AS severity,
    min(tier) AS tier,
    count(*) AS members,
    count(*) FILTER (state = 'open') AS open_members,
    count(*) FILTER (is_unverified) AS unverified_members,
    count(*) FILTER (state = 'open' AND waiver_id IS NOT NULL) AS waived_members,
    count(*) FILTER (state = 'resolved') AS resolved_members,
    count(*) FILTER (state = 'withdrawn') AS withdrawn_members,
    count(*) FILTER (added_day = day) AS new_members,
    any_value(owners_of.owner_id) AS owner_id
FROM members
LEFT JOIN owners_of USING (case_id)
GROUP BY case_id
ORDER BY case_id
