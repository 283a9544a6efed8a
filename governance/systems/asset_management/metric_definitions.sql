/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Names and intervals to the standard.
--- */
SELECT
    "name" AS source_metric,
    title AS display_name,
    help AS description,
    unit AS source_unit,
    "type" AS instrument,
    value_type,
    TRY_CAST(regexp_extract("interval", '^([0-9]+)s$', 1) AS BIGINT) AS interval_s,
    "min" AS valid_min,
    "max" AS valid_max,
    target AS ci_class,
    if(enabled, 'active', 'withdrawn') AS status,
    _batch_id,
    _record_no
FROM source
