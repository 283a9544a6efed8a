/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Lines of metadata.csv as definitions; lines of the superseded snapshot are withdrawn.
--- */
-- A rate is a gauge of a change per second. A divisor without a unit (per second of what?) is no unit.
SELECT
    metric_name AS source_metric,
    short_name AS display_name,
    description,
    unit_name || coalesce('/' || per_unit_name, '') AS source_unit,
    CASE metric_type WHEN 'count' THEN 'counter' WHEN 'gauge' THEN 'gauge' WHEN 'rate' THEN 'gauge' END AS instrument,
    NULL::VARCHAR AS value_type,
    "interval" AS interval_s,
    NULL::DOUBLE AS valid_min,
    NULL::DOUBLE AS valid_max,
    NULL::VARCHAR AS ci_class,
    if(snapshot = DATE '2023-11-14', 'withdrawn', 'active') AS status,
    _batch_id,
    _record_no
FROM source
