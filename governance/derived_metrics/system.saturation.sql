/* ---
kind: derive
dataset: metric_samples
metric: system.saturation
version: 1.0.0
owner: data-engineering@example.com
description: The most used of a host's CPU, memory, disks and file systems, every quarter of an hour.
interval_s: 900
window_s: 900
units: {value: "%"}
--- */
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    time_bucket(INTERVAL '15 minutes', observed_at) AS observed_at,
    max(value) AS value
FROM metric_samples
WHERE
    metric IN (
        'system.cpu.utilization',
        'system.memory.utilization',
        'system.disk.utilization',
        'system.filesystem.utilization'
    )
    AND value IS NOT NULL
GROUP BY ci_id, time_bucket(INTERVAL '15 minutes', observed_at)
