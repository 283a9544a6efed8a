/* ---
kind: derive
dataset: metric_samples
version: 1.0.2
owner: wealth-operations@example.com
description: Connections in use as a share of the limit that held at the time; the limit is reported every five minutes.
metric: db.connection.utilization
interval_s: 60
window_s: 600
--- */
WITH used AS (
    SELECT ci_id, observed_at, sum(value) AS connections
    FROM metric_samples
    WHERE metric = 'db.connection.count' AND value IS NOT NULL
    GROUP BY ci_id, observed_at
),
allowed AS (
    SELECT ci_id, observed_at AS valid_from, max(value) AS connections
    FROM metric_samples
    WHERE metric = 'db.connection.limit' AND value > 0
    GROUP BY 1, 2
)
SELECT
    used.ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    used.observed_at,
    least(100, used.connections / allowed.connections * 100.0) AS value
FROM used
JOIN allowed ON used.ci_id = allowed.ci_id AND used.observed_at >= allowed.valid_from
