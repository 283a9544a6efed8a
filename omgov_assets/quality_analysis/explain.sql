-- Every violation behind the anomalies of one subject, with dimensions, source file and record.
SELECT
    a.anomaly_type,
    v.severity,
    v.policy_id,
    v.expected,
    v.column_name AS "column",
    v.observed,
    a.first_seen_day AS since,
    v.system,
    v.dataset,
    v.subject_key AS subject,
    v.source_metric,
    v.metric,
    v.ci_id,
    a.application_ids,
    a.host_id,
    a.network_device_ids,
    a.site_id,
    a.support_group_id,
    a.owner_id,
    v.collector,
    c.cause_id,
    c.conditions AS cause,
    c.anomalies AS anomalies_of_cause,
    m.case_id,
    k.status AS case_status,
    k.responsible AS case_responsible,
    k.due_day AS case_due_day,
    m.waiver_id,
    l.file_name AS source_file,
    v.record_no AS source_record,
    v.policy_hash,
    v.data_version
FROM anomalies AS a
JOIN violations AS v
    ON a.system = v.system
    AND a.dataset = v.dataset
    AND a.anomaly_type = v.anomaly_type
    AND a.subject_kind = v.subject_kind
    AND a.subject_key = v.subject_key
LEFT JOIN root_causes AS c ON c.cause_id = a.cause_id
LEFT JOIN case_members AS m ON m.anomaly_id = a.anomaly_id
LEFT JOIN cases AS k ON k.case_id = m.case_id
LEFT JOIN ledger AS l
    ON v.system = l.system
    AND v.dataset = l.dataset
    AND v.batch_id = l.batch_id
    AND l.decision IN ('admitted', 'partial', 'refused')
WHERE a.subject_key = $subject OR a.anomaly_id = $subject
ORDER BY a.anomaly_type, v.policy_id, v.record_no
