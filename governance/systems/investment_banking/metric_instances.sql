/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: data-engineering@example.com
description: Milliseconds to the standard.
--- */
SELECT
    metric_code AS source_metric,
    ci_code AS ci_id,
    dimensions AS attributes,
    unit_code AS source_unit,
    interval_ms // 1000 AS interval_s,
    collector_code AS collector,
    first_seen AS first_seen_at,
    last_seen AS last_seen_at,
    points AS sample_count,
    low AS sample_min,
    high AS sample_max,
    average AS sample_mean,
    distinct_values AS sample_distinct,
    _batch_id,
    _record_no
FROM source
