/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: zhao.qiang@example.com
description: Slowest request on each CI that a change touches, while it goes on.
metric: app.change.impact.duration
interval_s: 300
window_s: 600
--- */
WITH touched AS (
    SELECT change_id, ci_id, started_at, ended_at
    FROM change_tickets
    UNION ALL
    SELECT t.change_id, r.related, t.started_at, t.ended_at
    FROM change_tickets AS t, UNNEST(CAST(CAST(t.related_cis AS JSON) AS VARCHAR[])) AS r(related)
),
spans AS (
    SELECT
        ci_id,
        string_agg(DISTINCT change_id, ',' ORDER BY change_id) AS changes,
        min(started_at) AS started_at,
        max(coalesce(ended_at, started_at + INTERVAL 4 HOUR)) AS ended_at
    FROM touched
    GROUP BY ci_id
)
SELECT
    s.ci_id,
    MAP {'changes': p.changes} AS attributes,
    time_bucket(INTERVAL 5 MINUTE, s.observed_at) AS observed_at,
    max(s.value) AS value
FROM metric_samples AS s
JOIN spans AS p ON s.ci_id = p.ci_id AND s.observed_at >= p.started_at AND s.observed_at < p.ended_at
WHERE s.metric = 'http.server.request.duration' AND s.value IS NOT NULL
GROUP BY s.ci_id, p.changes, time_bucket(INTERVAL 5 MINUTE, s.observed_at)
