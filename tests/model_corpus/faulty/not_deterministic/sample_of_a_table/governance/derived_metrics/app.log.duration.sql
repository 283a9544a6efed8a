/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: 99th percentile of logged operations in trading hours, by package of the logger.
metric: app.log.duration
interval_s: 300
window_s: 300
--- */
WITH 交易时段 AS (
    SELECT
        ci_id,
        duration,
        logged_at,
        coalesce(nullif(regexp_extract(logger, '^(\w+)\.', 1), ''), logger, 'none') AS 组件,
        logged_at AT TIME ZONE 'Asia/Shanghai' AS 当地时间
    FROM log_events TABLESAMPLE 10 PERCENT (bernoulli)
    WHERE duration IS NOT NULL AND severity NOT IN ('debug')
)
SELECT
    ci_id,
    MAP {'component': 组件} AS attributes,
    time_bucket(INTERVAL 5 MINUTE, logged_at) AS observed_at,
    quantile_cont(duration, 0.99) AS value
FROM 交易时段
WHERE CAST(当地时间 AS TIME) BETWEEN TIME '09:15:00' AND TIME '15:00:00'
    AND isodow(当地时间) <= 5
GROUP BY ci_id, 组件, time_bucket(INTERVAL 5 MINUTE, logged_at)
