/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Load of a host, guessed from how busy its CPU is.
metric: system.load.average
interval_s: 60
window_s: 120
--- */
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    date_trunc('minute', observed_at) AS observed_at,
    avg(value) / 100 AS value
FROM metric_samples
WHERE metric = 'system.cpu.utilization' AND value IS NOT NULL
GROUP BY ci_id, date_trunc('minute', observed_at)
