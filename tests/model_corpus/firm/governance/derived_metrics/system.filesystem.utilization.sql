/* ---
kind: derive
dataset: metric_instances
version: 1.0.0
owner: observability@example.com
description: The day's profile of the share in use, per file system.
metric: system.filesystem.utilization
interval_s: 300
window_s: 86400
--- */
WITH usage AS (
    SELECT
        ci_id,
        coalesce(attributes['mountpoint'], attributes['device'], '/') AS mountpoint,
        min(value_min) AS least,
        max(value_max) AS greatest,
        avg(value_mean) AS mean,
        sum(sample_count) AS points
    FROM metric_instances
    WHERE metric = 'system.filesystem.usage'
    GROUP BY ALL
    HAVING avg(value_mean) IS NOT NULL
),
size AS (
    SELECT
        ci_id,
        coalesce(attributes['mountpoint'], attributes['device'], '/') AS mountpoint,
        max(value_max) AS bytes
    FROM metric_instances
    WHERE metric = 'system.filesystem.limit'
    GROUP BY ALL
)
SELECT
    ci_id,
    MAP {'mountpoint': mountpoint} AS attributes,
    CAST(points AS BIGINT) AS sample_count,
    usage.least / size.bytes * 100 AS value_min,
    usage.greatest / size.bytes * 100 AS value_max,
    usage.mean / size.bytes * 100 AS value_mean
FROM usage
JOIN size USING (ci_id, mountpoint)
WHERE size.bytes > 0
