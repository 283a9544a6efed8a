-- The chosen anomalies by type, what there is most of first.
SELECT
    anomaly_type,
    ['critical', 'warning', 'info'][min(severity_no)] AS severity,
    count(*) AS anomalies
FROM of_key
GROUP BY anomaly_type
ORDER BY anomalies DESC, anomaly_type
