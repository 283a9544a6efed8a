/* ---
kind: derive
dataset: metric_samples
version: 1.1.0
owner: observability@example.com
description: Share of the minute's requests that failed, from two counters that restart with the process.
metric: http.server.error.utilization
interval_s: 60
window_s: 120
--- */
WITH counters AS (
    SELECT
        ci_id,
        metric,
        observed_at,
        value - lag(value) OVER (PARTITION BY instance_id ORDER BY observed_at) AS grown
    FROM metric_samples
    WHERE metric IN ('http.server.requests', 'http.server.errors')
        AND value IS NOT NULL
),
per_minute AS (
    SELECT
        ci_id,
        time_bucket(INTERVAL 1 MINUTE, observed_at) AS minute,
        sum(grown) FILTER (WHERE metric = 'http.server.requests') AS requests,
        sum(grown) FILTER (WHERE metric = 'http.server.errors') AS errors
    FROM counters
    WHERE grown >= 0  -- a restart is no request
    GROUP BY ALL
)
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    minute AS observed_at,
    100 * coalesce(errors, 0) / requests AS "value"
FROM per_minute
WHERE requests > 0
