/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Capitals and milliseconds to the standard.
--- */
SELECT
    metric_code AS source_metric,
    metric_name AS display_name,
    metric_text AS description,
    unit_code AS source_unit,
    lower(metric_type) AS instrument,
    if(is_integer, 'int', 'double') AS value_type,
    interval_ms // 1000 AS interval_s,
    lower_limit AS valid_min,
    upper_limit AS valid_max,
    lower(ci_type) AS ci_class,
    lower(state) AS status,
    _batch_id,
    _record_no
FROM source
