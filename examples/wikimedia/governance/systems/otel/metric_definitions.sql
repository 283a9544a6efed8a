/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Metrics of the conventions as definitions; the conventions say no interval and no value type.
--- */
SELECT
    name AS source_metric,
    NULL::VARCHAR AS display_name,
    brief AS description,
    unit AS source_unit,
    instrument,
    NULL::VARCHAR AS value_type,
    NULL::BIGINT AS interval_s,
    NULL::DOUBLE AS valid_min,
    NULL::DOUBLE AS valid_max,
    NULL::VARCHAR AS ci_class,
    if(deprecated IS NULL, 'active', 'deprecated') AS status,
    _batch_id,
    _record_no
FROM source
