-- A violation for each derived series that leaves the valid range of its metric.
SELECT
    $day::DATE AS day,
    $system::VARCHAR AS system,
    $dataset::VARCHAR AS dataset,
    $policy_id::VARCHAR AS policy_id,
    $anomaly_type::VARCHAR AS anomaly_type,
    'accuracy' AS quality_dimension,
    'warning' AS severity,
    'row' AS subject_kind,
    instance_id AS subject_key,
    NULL::VARCHAR AS column_name,
    CASE
        WHEN $open THEN concat_ws(', ', 'min ' || value_min, 'max ' || value_max, 'mean ' || value_mean)
        ELSE '***'
    END AS observed,
    $expected::VARCHAR AS expected,
    $metric::VARCHAR AS source_metric,
    $metric::VARCHAR AS metric,
    ci_id,
    'omgov' AS collector,
    $batch_id::VARCHAR AS batch_id,
    row_number() OVER (ORDER BY ci_id, attributes) AS record_no,
    $policy_hash::VARCHAR AS policy_hash,
    $data_version::BIGINT AS data_version
FROM derived_series
QUALIFY least(value_min, value_max, value_mean) < $least OR greatest(value_min, value_max, value_mean) > $greatest
ORDER BY record_no
