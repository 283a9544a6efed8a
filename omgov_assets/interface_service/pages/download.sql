-- The chosen anomalies in the order of the page, whole, with names for people.
SELECT {columns}
FROM (
    SELECT of_key.*, owners.label AS owner, groups.label AS support_group
    FROM of_key
    LEFT JOIN labels AS owners ON owners.kind = 'owner' AND owners.key = owner_id
    LEFT JOIN labels AS groups ON groups.kind = 'support_group' AND groups.key = support_group_id
)
ORDER BY severity_no, first_seen_day, system, anomaly_type, subject_key, anomaly_id
