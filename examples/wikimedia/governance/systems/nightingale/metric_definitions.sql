/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Built-in metrics as definitions; a name is unique with its component and collector only.
--- */
-- The unit is one of a menu, where "none" says that none was chosen.
SELECT
    typ || '.' || collector || '.' || name AS source_metric,
    name AS display_name,
    note AS description,
    nullif(unit, 'none') AS source_unit,
    metric_type AS instrument,
    NULL::VARCHAR AS value_type,
    NULL::BIGINT AS interval_s,
    NULL::DOUBLE AS valid_min,
    NULL::DOUBLE AS valid_max,
    NULL::VARCHAR AS ci_class,
    'active' AS status,
    _batch_id,
    _record_no
FROM source
