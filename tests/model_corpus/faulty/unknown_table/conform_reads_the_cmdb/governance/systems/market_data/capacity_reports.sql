/* ---
kind: conform
dataset: capacity_reports
version: 1.0.1
owner: chen.min@example.com
description: KiB to bytes, the share in use, and the growth of the last week from the history in JSON.
units: {used: By, capacity: By, utilization: "%"}
--- */
WITH measured AS (
    SELECT
        *,
        used + free + coalesce(reserved, 0) AS total,
        CAST(CAST(coalesce(history, '[]') AS JSON) AS DOUBLE[]) AS points
    FROM source
    WHERE used + free > 0 AND host IN (SELECT ci_id FROM configuration_items)
),
grown AS (
    SELECT
        _record_no,
        list_sum(
            list_transform(range(2, len(points) + 1), lambda i: points[i] - points[i - 1])
        ) / greatest(len(points) - 1, 1) AS per_day
    FROM measured
)
SELECT
    m.host AS ci_id,
    m.mount AS resource,
    m.taken_at AS reported_at,
    m.used * 1024 AS used,
    m.total * 1024 AS capacity,
    round(100 * m.used / m.total, 2) AS utilization,
    g.per_day AS growth,
    m._batch_id,
    m._record_no
FROM measured AS m LEFT JOIN grown AS g USING (_record_no)
