/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Memory in use as a share of the memory that the inventory states for the host.
metric: system.memory.utilization
interval_s: 60
window_s: 600
--- */
WITH installed AS (
    SELECT ci_id, max(value_max) AS bytes
    FROM metric_instances
    WHERE metric = 'system.memory.limit'
    GROUP BY ci_id
),
usage AS (
    SELECT ci_id, time_bucket(INTERVAL 1 MINUTE, observed_at) AS minute, max(value) AS bytes
    FROM metric_samples
    WHERE metric = 'system.memory.usage' AND value IS NOT NULL
    GROUP BY ci_id, time_bucket(INTERVAL 1 MINUTE, observed_at)
)
SELECT
    u.ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    u.minute AS observed_at,
    bytes / i.bytes * 100 AS value
FROM usage AS u
LEFT JOIN installed AS i ON i.ci_id = u.ci_id
WHERE i.bytes > 0
