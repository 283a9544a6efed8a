-- The first cases of each key of a dimension, by its anomalies of the day.
WITH counted AS (
    SELECT key, case_id, count(*) AS anomalies, count(*) OVER (PARTITION BY key) AS keys_cases
    FROM of_key
    JOIN case_members USING (anomaly_id)
    GROUP BY key, case_id
)
SELECT
    counted.*,
    cases.* EXCLUDE (case_id),
    row_number() OVER (
        PARTITION BY key
        ORDER BY
            status = 'waived',
            is_overdue DESC,
            list_position(['critical', 'warning', 'info'], severity),
            anomalies DESC,
            case_id
    ) AS turn
FROM counted
JOIN cases USING (case_id)
QUALIFY turn <= $top
ORDER BY key, turn
