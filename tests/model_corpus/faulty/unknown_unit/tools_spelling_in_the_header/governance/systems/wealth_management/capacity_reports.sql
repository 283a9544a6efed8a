/* ---
kind: conform
dataset: capacity_reports
version: 1.0.0
owner: wealth-operations@example.com
description: Gigabytes, ratios and day and hour of a report to the standard.
units:
  used: By
  capacity: bytes
  utilization: "%"
  growth: By/d
--- */
SELECT
    CI_NO AS ci_id,
    concat(CASE RES_TYPE WHEN 'TBS' THEN 'tablespace' ELSE lower(RES_TYPE) END, ':', RES_NAME) AS resource,
    (RPT_DATE + to_hours(RPT_HOUR)) AT TIME ZONE 'Asia/Shanghai' AS reported_at,
    USED_GB * 1e9 AS used,
    greatest(TOTAL_GB, USED_GB) * 1e9 AS capacity,
    100 * USED_RATIO AS utilization,
    GROWTH_MB * 1000000 AS growth,
    _batch_id,
    _record_no
FROM source
WHERE RES_TYPE IN ('TBS', 'DISK')
