/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: data-engineering@example.com
description: Epoch nanoseconds to the standard.
--- */
SELECT
    metric AS source_metric,
    ci AS ci_id,
    tags AS attributes,
    unit AS source_unit,
    period_seconds AS interval_s,
    collector,
    make_timestamptz(first_seen_ns // 1000) AS first_seen_at,
    make_timestamptz(last_seen_ns // 1000) AS last_seen_at,
    samples AS sample_count,
    lowest AS sample_min,
    highest AS sample_max,
    average AS sample_mean,
    distinct_values AS sample_distinct,
    _batch_id,
    _record_no
FROM source
