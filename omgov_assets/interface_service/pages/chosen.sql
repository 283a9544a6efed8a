-- The anomalies that an address chooses, for the page's list and counts.
SELECT
    day, anomaly_id, anomaly_type, severity, quality_dimension, system, dataset, subject_kind, subject_key,
    source_metric, metric, ci_id, ci_class, application_ids, host_id, network_device_ids, site_id, support_group_id, owner_id,
    collector, observed, expected, first_seen_day, policy_ids, batch_id, record_no,
    list_position(['critical', 'warning', 'info'], severity) AS severity_no
FROM anomalies
WHERE {condition}
