-- The day's anomalies in all, by severity, and against the day before.
SELECT
    count(*) AS anomalies,
    count(*) FILTER (severity = 'critical') AS critical,
    count(*) FILTER (severity = 'warning') AS warning,
    count(*) FILTER (severity = 'info') AS info,
    count(*) FILTER (first_seen_day = day) AS new,
    min(first_seen_day) AS standing_since,
    (SELECT count(*) FROM before) AS previous
FROM anomalies
