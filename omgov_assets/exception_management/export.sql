-- Members of a case as the source side needs them: what was observed, what is expected, and where the row came from.
SELECT
    members.case_id,
    members.state,
    members.anomaly_type,
    members.severity,
    members.system,
    members.dataset,
    batches.file_name AS source_file,
    seen.record_no AS source_record,
    members.subject_kind,
    members.subject_key,
    members.source_metric,
    members.metric,
    members.ci_id,
    seen.observed,
    seen.expected,
    members.responsible,
    members.owner_id,
    members.policy_ids::JSON::VARCHAR[] AS policy_ids,
    members.is_unverified,
    members.added_day::VARCHAR AS since,
    members.last_seen_day::VARCHAR AS last_seen,
    members.anomaly_id
FROM members
LEFT JOIN seen ON seen.anomaly_id = members.anomaly_id AND seen.day = members.last_seen_day
LEFT JOIN batches
    ON batches.system = members.system AND batches.dataset = members.dataset AND batches.batch_id = seen.batch_id
WHERE
    (members.state = 'open' OR NOT $only_open)
    AND ($group::VARCHAR IS NULL OR members.responsible = $group)
    AND ($owner_id::VARCHAR IS NULL OR members.owner_id = $owner_id)
ORDER BY members.state, members.system, members.dataset, source_file, source_record, members.subject_key, members.anomaly_type
