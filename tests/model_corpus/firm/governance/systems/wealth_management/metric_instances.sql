/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: wealth-operations@example.com
description: Tags as JSON text, local times, epoch seconds and sums to the standard.
--- */
SELECT
    METRIC_NAME AS source_metric,
    CI_NO AS ci_id,
    COALESCE(TRY_CAST(TRY_CAST(TAGS AS JSON) AS MAP(VARCHAR, VARCHAR)), MAP {}::MAP(VARCHAR, VARCHAR)) AS attributes,
    UNIT AS source_unit,
    INTERVAL_MIN * 60 + COALESCE(INTERVAL_SEC, 0) AS interval_s,
    AGENT AS collector,
    FIRST_TIME AT TIME ZONE 'Asia/Shanghai' AS first_seen_at,
    make_timestamptz(LAST_TIME * 1000000) AS last_seen_at,
    SAMPLE_CNT AS sample_count,
    MIN_VAL AS sample_min,
    MAX_VAL AS sample_max,
    SUM_VAL / NULLIF(SAMPLE_CNT, 0) AS sample_mean,
    DISTINCT_CNT AS sample_distinct,
    _batch_id,
    _record_no
FROM source
