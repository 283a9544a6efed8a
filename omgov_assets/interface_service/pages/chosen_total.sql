-- How many anomalies are chosen, by severity.
SELECT
    count(*) AS anomalies,
    count(*) FILTER (severity = 'critical') AS critical,
    count(*) FILTER (severity = 'warning') AS warning,
    count(*) FILTER (severity = 'info') AS info,
    count(*) FILTER (first_seen_day = day) AS new
FROM of_key
