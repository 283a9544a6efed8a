/* ---
kind: conform
dataset: metric_samples
version: 1.0.0
owner: data-engineering@example.com
description: Labels to the standard.
--- */
SELECT
    "name" AS source_metric,
    ci AS ci_id,
    labels AS attributes,
    "time" AS observed_at,
    "value",
    _batch_id,
    _record_no
FROM source
