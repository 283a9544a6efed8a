/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: zhao.qiang@example.com
description: Share of logins that failed, by channel, of applications in use.
metric: security.login.failure.utilization
interval_s: 300
window_s: 300
--- */
WITH attempts AS (
    SELECT ci_id, channel, left(account, 4) AS branch, succeeded, occurred_at
    FROM login_events
    WHERE ci_id IN (SELECT ci_id FROM configuration_items WHERE ci_class = 'application' AND status = 'in_use')
        AND NOT EXISTS (
            SELECT 1
            FROM change_tickets AS c
            WHERE c.ci_id = login_events.ci_id AND login_events.occurred_at BETWEEN c.started_at AND c.ended_at
        )
)
, named AS (
    SELECT *, lower(channel) || '/' || branch AS origin
    FROM attempts
)
SELECT
    ci_id,
    MAP {'channel': origin} AS attributes,
    time_bucket(INTERVAL 5 MINUTE, occurred_at) AS observed_at,
    count_if(NOT succeeded) * 100.0 / count(*) AS value
FROM named
GROUP BY ci_id, origin, time_bucket(INTERVAL 5 MINUTE, occurred_at)
