/* ---
kind: conform
dataset: metric_samples
version: 1.0.0
owner: data-engineering@example.com
description: Epoch nanoseconds to the standard.
--- */
SELECT
    metric AS source_metric,
    ci AS ci_id,
    tags AS attributes,
    make_timestamptz(time_ns // 1000) AS observed_at,
    "value",
    _batch_id,
    _record_no
FROM source
