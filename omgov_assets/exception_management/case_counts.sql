-- What the members of each case come to.
WITH owners_of AS (
    SELECT case_id, owner_id
    FROM (
        SELECT case_id, owner_id, count(*) AS members
        FROM members
        WHERE state = 'open' AND owner_id IS NOT NULL
        GROUP BY ALL
    )
    QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY members DESC, owner_id) = 1
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
