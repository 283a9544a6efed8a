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
        ci_id,
        coalesce(attributes['pool'], 'heap') AS pool,
        date_trunc('minute', observed_at) AS minute,
        max(CASE WHEN metric = 'jvm.memory.usage' THEN value END) AS used,
        max(CASE WHEN metric = 'jvm.memory.limit' THEN value END) AS available
    FROM metric_samples
    WHERE metric IN ('jvm.memory.usage', 'jvm.memory.limit')
        AND ci_id IN (WITH applications AS (SELECT ci_id FROM configuration_items WHERE ci_class = 'application') SELECT ci_id FROM applications)
    GROUP BY 1, 2, 3
)
SELECT
    ci_id,
    MAP {'pool': pool} AS attributes,
    minute AS observed_at,
    100.0 * used / available AS value
FROM side_by_side
WHERE used IS NOT NULL AND available > 0 AND ci_id IN (SELECT ci_id FROM applications)
