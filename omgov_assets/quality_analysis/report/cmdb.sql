-- What contradicts itself in the CMDB, by dataset and anomaly type.
SELECT
    anomaly_type,
    dataset,
    ['critical', 'warning', 'info'][min(list_position(['critical', 'warning', 'info'], severity))] AS severity,
    count(*) AS anomalies,
    count(*) FILTER (first_seen_day = day) AS new,
    min(first_seen_day) AS since
FROM anomalies
WHERE system = $cmdb AND subject_kind IN ('row', 'expected_instance')
GROUP BY anomaly_type, dataset
ORDER BY min(list_position(['critical', 'warning', 'info'], severity)), anomalies DESC, anomaly_type, dataset
