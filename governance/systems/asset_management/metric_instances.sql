/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: data-engineering@example.com
description: Labels and intervals to the standard.
--- */
SELECT
    "name" AS source_metric,
    ci AS ci_id,
    labels AS attributes,
    unit AS source_unit,
    TRY_CAST(regexp_extract("interval", '^([0-9]+)s$', 1) AS BIGINT) AS interval_s,
    agent AS collector,
    first_seen AS first_seen_at,
    last_seen AS last_seen_at,
    "count" AS sample_count,
    "min" AS sample_min,
    "max" AS sample_max,
    mean AS sample_mean,
    "distinct" AS sample_distinct,
    _batch_id,
    _record_no
FROM source
