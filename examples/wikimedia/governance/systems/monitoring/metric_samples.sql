/* ---
kind: conform
dataset: metric_samples
version: 1.0.0
owner: data-engineering@example.com
description: Names to the standard; where a point was published stays in the delivery.
--- */
SELECT
    metric AS source_metric,
    host AS ci_id,
    attributes,
    observed_at,
    "value",
    _batch_id,
    _record_no
FROM source
