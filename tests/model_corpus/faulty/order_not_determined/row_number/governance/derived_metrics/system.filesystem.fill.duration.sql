/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Days until the fullest resource of a CI is full, from its last capacity report.
metric: system.filesystem.fill.duration
interval_s: 3600
window_s: 86400
--- */
WITH last_report AS (
    SELECT ci_id, resource, reported_at, used, capacity, growth
    FROM capacity_reports
    WHERE growth > 0
    QUALIFY row_number() OVER (PARTITION BY ci_id, resource) = 1
),
forecast AS (
    SELECT
        ci_id,
        resource,
        reported_at,
        greatest(capacity - used, 0) / growth AS days
    FROM last_report
)
SELECT
    ci_id,
    MAP {'resource': arg_min(resource, struct_pack(d := days, r := resource))} AS attributes,
    max(reported_at) AS observed_at,
    min(days) AS value
FROM forecast
GROUP BY ci_id
