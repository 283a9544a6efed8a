/* ---
kind: derive
dataset: metric_samples
metric: trading.order.latency.p99
version: 1.0.0
owner: data-engineering@example.com
description: The 99th percentile of an application's order latency on each market, every hour.
interval_s: 3600
window_s: 3600
units: {value: ms}
--- */
WITH latencies AS (
    SELECT
        ci_id,
        attributes['market'] AS market,
        time_bucket(INTERVAL '1 hour', observed_at) AS hour,
        value
    FROM metric_samples
    WHERE metric = 'trading.order.latency' AND value IS NOT NULL
)
SELECT
    ci_id,
    MAP {'market': market} AS attributes,
    hour AS observed_at,
    quantile_cont(value, 0.99) AS value
FROM latencies
WHERE market IS NOT NULL
GROUP BY ci_id, market, hour
