/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: data-engineering@example.com
description: Tags as JSON text, local times and epoch seconds to the standard.
quarantine_without: [attributes]
--- */
SELECT
    METRIC_NAME AS source_metric,
    CI_NO AS ci_id,
    TRY_CAST(TRY_CAST(TAGS AS JSON) AS MAP(VARCHAR, VARCHAR)) AS attributes,
    UNIT AS source_unit,
    INTERVAL_SEC AS interval_s,
    AGENT AS collector,
    FIRST_TIME AT TIME ZONE 'Asia/Shanghai' AS first_seen_at,
    make_timestamptz(LAST_TIME * 1000000) AS last_seen_at,
    SAMPLE_CNT AS sample_count,
    MIN_VAL AS sample_min,
    MAX_VAL AS sample_max,
    AVG_VAL AS sample_mean,
    DISTINCT_CNT AS sample_distinct,
    _batch_id,
    _record_no
FROM source
