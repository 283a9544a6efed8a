-- The chosen anomalies behind a place in their order. Which ones is asked first, of few columns; then what they are.
WITH of_page AS MATERIALIZED (
    SELECT anomaly_id
    FROM of_key
    WHERE {after}
    ORDER BY severity_no, first_seen_day, system, anomaly_type, subject_key, anomaly_id
    LIMIT $rows
)
SELECT
    anomaly_id, anomaly_type, severity, severity_no, system, dataset, subject_key, source_metric, metric, ci_id,
    support_group_id, owner_id, observed, first_seen_day,
    owners.label AS owner, groups.label AS support_group
FROM of_key
SEMI JOIN of_page USING (anomaly_id)
LEFT JOIN labels AS owners ON owners.kind = 'owner' AND owners.key = owner_id
LEFT JOIN labels AS groups ON groups.kind = 'support_group' AND groups.key = support_group_id
ORDER BY severity_no, first_seen_day, system, anomaly_type, subject_key, anomaly_id
