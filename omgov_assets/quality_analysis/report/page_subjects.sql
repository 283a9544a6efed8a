-- Single anomalies of each key of a dimension: the gravest, and of them the oldest.
SELECT key, severity, anomaly_type, system, subject_key, source_metric, metric, ci_id, first_seen_day, cause_id
FROM of_key
QUALIFY row_number() OVER (
    PARTITION BY key
    ORDER BY list_position(['critical', 'warning', 'info'], severity), first_seen_day, anomaly_type, system, subject_key, anomaly_id
) <= $top
ORDER BY key, list_position(['critical', 'warning', 'info'], severity), first_seen_day, anomaly_type, system, subject_key, anomaly_id
