-- Anomalies of each key of a dimension by type, the gravest first.
SELECT
    key,
    anomaly_type,
    ['critical', 'warning', 'info'][min(list_position(['critical', 'warning', 'info'], severity))] AS severity,
    count(*) AS anomalies,
    count(*) FILTER (first_seen_day = day) AS new,
    min(first_seen_day) AS since
FROM of_key
GROUP BY key, anomaly_type
ORDER BY key, min(list_position(['critical', 'warning', 'info'], severity)), anomalies DESC, anomaly_type
