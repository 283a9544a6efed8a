-- Anomalies of each cause of the day on the days of its history, oldest first; 0 where it was not found on a governed day.
WITH days AS (
    SELECT DISTINCT day FROM cause_history
)
SELECT
    root_causes.cause_id,
    list(coalesce(cause_history.anomalies, 0) ORDER BY days.day) AS anomalies
FROM root_causes
CROSS JOIN days
LEFT JOIN cause_history ON cause_history.cause_id = root_causes.cause_id AND cause_history.day = days.day
WHERE root_causes.rank <= $top
GROUP BY root_causes.cause_id
