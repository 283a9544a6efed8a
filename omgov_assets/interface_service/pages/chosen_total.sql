-- How many anomalies are chosen, by severity; without a governed day before nobody knows which are new.
SELECT
    count(*) AS anomalies,
    count(*) FILTER (severity = 'critical') AS critical,
    count(*) FILTER (severity = 'warning') AS warning,
    count(*) FILTER (severity = 'info') AS info,
    CASE WHEN $is_compared THEN count(*) FILTER (first_seen_day = day) END AS new
FROM of_key
