-- Anomalies by conditions on their dimensions, with the file and record that each came from.
SELECT
    day,
    anomaly_id,
    anomaly_type,
    severity,
    quality_dimension,
    a.system,
    a.dataset,
    subject_kind,
    subject_key,
    source_metric,
    metric,
    ci_id,
    application_ids,
    host_id,
    network_device_ids,
    site_id,
    support_group_id,
    owner_id,
    collector,
    tier,
    observed,
    expected,
    first_seen_day,
    datediff('day', first_seen_day, day) + 1 AS open_days,
    in_trading_session,
    policy_ids,
    cause_id,
    file_name AS source_file,
    record_no AS source_record
FROM anomalies AS a
LEFT JOIN (
    SELECT system, dataset, batch_id, any_value(file_name ORDER BY file_name) AS file_name
    FROM ledger
    WHERE decision IN ('admitted', 'partial', 'refused')
    GROUP BY ALL
) AS l USING (system, dataset, batch_id)
WHERE {conditions}
ORDER BY {order}, a.system, anomaly_type, subject_key, anomaly_id
LIMIT $limit
