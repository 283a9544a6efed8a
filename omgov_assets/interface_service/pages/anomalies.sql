-- The chosen anomalies behind a place in their order.
SELECT of_key.*, owners.label AS owner, groups.label AS support_group
FROM (
    SELECT *
    FROM of_key
    WHERE {after}
    ORDER BY severity_no, first_seen_day, system, anomaly_type, subject_key, anomaly_id
    LIMIT $rows
) AS of_key
LEFT JOIN labels AS owners ON owners.kind = 'owner' AND owners.key = owner_id
LEFT JOIN labels AS groups ON groups.kind = 'support_group' AND groups.key = support_group_id
ORDER BY severity_no, first_seen_day, system, anomaly_type, subject_key, anomaly_id
