/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: wealth-operations@example.com
description: Query duration (milliseconds) and lock wait (seconds) together.
metric: db.response.duration
interval_s: 60
window_s: 120
units:
  value: ms
--- */
WITH queries AS (
    SELECT ci_id, date_trunc('minute', observed_at) AS observed_at, avg(value) AS duration
    FROM metric_samples
    WHERE metric = 'db.query.duration'
    GROUP BY ALL
    HAVING count(value) > 0
),
locks AS (
    SELECT ci_id, date_trunc('minute', observed_at) AS observed_at, avg(value) * 1000 AS waited
    FROM metric_samples
    WHERE metric = 'db.lock.wait.duration'
    GROUP BY ALL
)
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    observed_at,
    coalesce(duration, 0) + coalesce(locks.waited, 0) AS value
FROM queries
LEFT JOIN locks USING (ci_id, observed_at)
