/* ---
kind: derive
dataset: metric_samples
version: 2.0.0
owner: observability@example.com
description: Bytes per second of all interfaces of a host, by direction.
metric: system.network.throughput
interval_s: 60
window_s: 180
--- */
WITH points AS (
    SELECT
        instance_id, ci_id, observed_at, value,
        lower(coalesce(attributes['direction'], 'both') AS direction
    FROM metric_samples
    WHERE metric = 'system.network.io'
), deltas AS (
    SELECT
        ci_id,
        direction,
        observed_at,
        value - lag(value) OVER interface AS bytes,
        date_diff('second', lag(observed_at) OVER interface, observed_at) AS seconds
    FROM points
    WINDOW interface AS (PARTITION BY instance_id ORDER BY observed_at)
    QUALIFY bytes >= 0 AND seconds > 0
)
SELECT
    ci_id,
    MAP {'direction': direction} AS attributes,
    date_trunc('minute', observed_at) AS observed_at,
    sum(bytes / seconds) AS value
FROM deltas
GROUP BY ci_id, direction, date_trunc('minute', observed_at)
