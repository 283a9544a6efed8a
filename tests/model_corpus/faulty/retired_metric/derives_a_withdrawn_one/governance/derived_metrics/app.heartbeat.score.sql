/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Share of the last ten minutes in which few requests failed and the others were fast.
metric: app.heartbeat.score
interval_s: 60
window_s: 600
--- */
WITH errors AS (
    SELECT ci_id, date_trunc('minute', observed_at) AS minute, max(value) AS error_share
    FROM metric_samples
    WHERE metric = 'http.server.error.utilization'
    GROUP BY ci_id, date_trunc('minute', observed_at)
), durations AS (
    SELECT ci_id, date_trunc('minute', observed_at) AS minute, median(value) AS duration
    FROM metric_samples
    WHERE metric = 'http.server.request.duration'
    GROUP BY ci_id, date_trunc('minute', observed_at)
), judged AS (
    SELECT
        d.ci_id,
        d.minute,
        CASE
            WHEN coalesce(e.error_share, 0) > 5 THEN 0.0
            WHEN d.duration > 2000 THEN 0.0
            WHEN d.duration > 500 THEN 0.5
            ELSE 1.0
        END AS good
    FROM durations d
    LEFT JOIN errors e ON e.ci_id = d.ci_id AND e.minute = d.minute
)
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    minute AS observed_at,
    avg(good) OVER (PARTITION BY ci_id ORDER BY minute ROWS BETWEEN 9 PRECEDING AND CURRENT ROW) AS value
FROM judged
