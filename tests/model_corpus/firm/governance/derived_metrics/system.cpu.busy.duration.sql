/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Time of each half hour in which the CPU was busier than in nine tenths of it, and than 80 %.
metric: system.cpu.busy.duration
interval_s: 300
window_s: 1800
--- */
WITH half_hours AS (
    SELECT
        ci_id,
        time_bucket(INTERVAL 30 MINUTE, observed_at) AS slot,
        list(struct_pack(at := observed_at, busy_share := value) ORDER BY observed_at) AS points,
        greatest(quantile_cont(value, 0.9), 80) AS threshold
    FROM metric_samples
    WHERE metric = 'system.cpu.utilization' AND value IS NOT NULL
    GROUP BY ci_id, time_bucket(INTERVAL 30 MINUTE, observed_at)
)
SELECT
    ci_id,
    MAP {'points': CAST(len(points) AS VARCHAR)} AS attributes,
    slot AS observed_at,
    len(list_filter(points, lambda p: p.busy_share >= threshold)) * epoch(INTERVAL 1 MINUTE) AS value
FROM half_hours
