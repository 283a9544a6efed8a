-- A model's points as rows of derived/metric_samples.
SELECT
    $day::DATE AS day,
    $system::VARCHAR AS system,
    instance_id,
    $metric::VARCHAR AS source_metric,
    $metric::VARCHAR AS metric,
    ci_id,
    attributes,
    observed_at,
    value,
    $batch_id::VARCHAR AS _batch_id,
    row_number() OVER (ORDER BY ci_id, attributes, observed_at) AS _record_no
FROM derived_rows
