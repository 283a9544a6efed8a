/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Errors logged per second, outside of changes.
metric: app.log.error.rate
interval_s: 60
window_s: 60
--- */
SELECT
    l.ci_id,
    MAP {'logger': coalesce(l.logger, 'none')} AS attributes,
    time_bucket(INTERVAL 1 MINUTE, l.logged_at) AS observed_at,
    count(*) FILTER (WHERE l.severity IN ('error', 'fatal')) / epoch(INTERVAL 1 MINUTE) AS value
FROM log_events AS l
ANTI JOIN change_tickets AS c
    ON ci_id = l.ci_id AND l.ci_id = c.ci_id AND l.logged_at BETWEEN c.started_at AND coalesce(c.ended_at, c.started_at + INTERVAL 4 HOUR)
GROUP BY l.ci_id, l.logger, time_bucket(INTERVAL 1 MINUTE, l.logged_at)
