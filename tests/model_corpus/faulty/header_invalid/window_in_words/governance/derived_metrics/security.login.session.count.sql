/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: zhao.qiang@example.com
description: Sessions of clients that began in five minutes; half an hour without a login ends a session.
metric: security.login.session.count
interval_s: 300
window_s: one hour
--- */
WITH marked AS (
    SELECT
        ci_id,
        channel,
        occurred_at,
        occurred_at - lag(occurred_at) OVER (PARTITION BY ci_id, account ORDER BY occurred_at, login_id) AS since_last
    FROM login_events
    WHERE succeeded
),
begun AS (
    SELECT ci_id, channel, occurred_at
    FROM marked
    WHERE since_last IS NULL OR since_last > INTERVAL 30 MINUTE
)
SELECT
    ci_id,
    MAP {'channel': channel} AS attributes,
    time_bucket(INTERVAL 5 MINUTE, occurred_at) AS observed_at,
    CAST(count(*) AS DOUBLE) AS value
FROM begun
GROUP BY ALL
