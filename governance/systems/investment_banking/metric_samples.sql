/* ---
kind: conform
dataset: metric_samples
version: 1.0.0
owner: data-engineering@example.com
description: Names to the standard.
--- */
SELECT
    metric_code AS source_metric,
    ci_code AS ci_id,
    dimensions AS attributes,
    sampled_at AS observed_at,
    sample_value AS "value",
    _batch_id,
    _record_no
FROM source
