/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Fields of the templates as definitions; texts are among them and keep their type.
--- */
SELECT
    app || '.' || metric_set || '.' || field AS source_metric,
    coalesce(zh, en) AS display_name,
    en AS description,
    unit AS source_unit,
    NULL::VARCHAR AS instrument,
    CASE "type" WHEN '0' THEN 'double' WHEN '1' THEN 'string' WHEN '3' THEN 'time' END AS value_type,
    NULL::BIGINT AS interval_s,
    NULL::DOUBLE AS valid_min,
    NULL::DOUBLE AS valid_max,
    NULL::VARCHAR AS ci_class,
    'active' AS status,
    _batch_id,
    _record_no
FROM source
