/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Types and classes to the standard vocabulary.
--- */
SELECT
    metric AS source_metric,
    label AS display_name,
    "comment" AS description,
    unit AS source_unit,
    kind AS instrument,
    CASE data_type WHEN 'long' THEN 'int' WHEN 'double' THEN 'double' END AS value_type,
    period_seconds AS interval_s,
    lowest AS valid_min,
    highest AS valid_max,
    if("scope" = 'network', 'network_device', "scope") AS ci_class,
    status,
    _batch_id,
    _record_no
FROM source
