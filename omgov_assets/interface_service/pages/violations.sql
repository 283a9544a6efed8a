-- What the policies said of one subject, those of the anomaly's type first.
SELECT policy_id, anomaly_type, severity, column_name, observed, expected, batch_id, record_no, source_metric
FROM violations
WHERE anomaly_type = $type
ORDER BY policy_id, column_name, record_no, observed
LIMIT 50
