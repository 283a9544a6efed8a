-- Violations of the gate for one dataset of one day: refused records, refused batches, nothing delivered at all.
WITH entries AS (
    SELECT * FROM ledger WHERE system = $system AND dataset = $dataset
),
found AS (
    SELECT
        $refused_record AS policy_id,
        'refused_record' AS anomaly_type,
        'conformity' AS quality_dimension,
        'warning' AS severity,
        'row' AS subject_kind,
        q._batch_id || ':' || q._record_no AS subject_key,
        array_to_string(q.reasons, ', ') AS observed,
        'a record that meets the source contract' AS expected,
        q._batch_id AS batch_id,
        q._record_no AS record_no,
        e.contract_hash AS policy_hash,
        e.data_version
    FROM quarantine AS q
    JOIN entries AS e ON e.batch_id = q._batch_id
    UNION ALL BY NAME
    SELECT
        $refused_batch AS policy_id,
        'refused_batch' AS anomaly_type,
        'conformity' AS quality_dimension,
        'critical' AS severity,
        'batch' AS subject_kind,
        e.batch_id AS subject_key,
        e.reason AS observed,
        'a delivery that meets the source contract' AS expected,
        e.batch_id,
        NULL::BIGINT AS record_no,
        e.contract_hash AS policy_hash,
        e.data_version
    FROM entries AS e
    WHERE e.decision = 'refused'
    UNION ALL BY NAME
    SELECT
        $not_delivered AS policy_id,
        'not_delivered' AS anomaly_type,
        'timeliness' AS quality_dimension,
        'critical' AS severity,
        'dataset' AS subject_kind,
        $dataset AS subject_key,
        'nothing was delivered' AS observed,
        'a delivery for every day' AS expected,
        NULL::VARCHAR AS batch_id,
        NULL::BIGINT AS record_no,
        NULL::VARCHAR AS policy_hash,
        NULL::BIGINT AS data_version
    WHERE NOT EXISTS (FROM entries)
)
SELECT
    $day::DATE AS day,
    $system AS system,
    $dataset AS dataset,
    policy_id,
    anomaly_type,
    quality_dimension,
    severity,
    subject_kind,
    subject_key,
    NULL::VARCHAR AS column_name,
    observed,
    expected,
    NULL::VARCHAR AS source_metric,
    NULL::VARCHAR AS metric,
    NULL::VARCHAR AS ci_id,
    NULL::VARCHAR AS collector,
    batch_id,
    record_no,
    policy_hash,
    data_version
FROM found
