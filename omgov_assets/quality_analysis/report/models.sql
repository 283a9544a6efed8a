-- What is wrong with processing models, the gravest first. What is observed of a model is its own text, not a record.
SELECT
    anomaly_type, severity, system, dataset, subject_key, observed, expected, first_seen_day,
    coalesce(owners.label, owner_id, groups.label, support_group_id) AS responsible
FROM anomalies
LEFT JOIN labels AS owners ON owners.kind = 'owner' AND owners.key = owner_id
LEFT JOIN labels AS groups ON groups.kind = 'support_group' AND groups.key = support_group_id
WHERE subject_kind = 'processing_model'
ORDER BY list_position(['critical', 'warning', 'info'], severity), system, dataset, subject_key, anomaly_type
