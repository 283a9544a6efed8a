/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Heap in use as a share of the heap in all; the two metrics side by side, per pool.
metric: jvm.memory.utilization
interval_s: 60
window_s: 120
--- */
WITH side_by_side AS (
    SELECT
        u.ci_id,
        coalesce(u.attributes['pool'], 'heap') AS pool,
        date_trunc('minute', u.observed_at) AS minute,
        max(u.value) AS used,
        max(a.value) AS available
    FROM metric_samples AS u
    JOIN metric_samples AS a ON a.ci_id = u.ci_id AND a.observed_at = u.observed_at
    WHERE u.metric = 'jvm.memory.usage' AND a.metric = 'jvm.memory.limit'
    GROUP BY 1, 2, 3
)
SELECT
    ci_id,
    MAP {'pool': pool} AS attributes,
    minute AS observed_at,
    100.0 * used / available AS value
FROM side_by_side
WHERE used IS NOT NULL AND available > 0
