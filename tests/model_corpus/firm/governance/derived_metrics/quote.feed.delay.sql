/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: chen.min@example.com
description: 99th percentile of the delay of ticks per gateway and minute, with the gateway's name and tier.
metric: quote.feed.delay
interval_s: 60
window_s: 60
units: {value: ms}
--- */
WITH per_minute AS (
    SELECT
        ci_id,
        market,
        time_bucket(INTERVAL 1 MINUTE, received_at) AS minute,
        quantile_cont(feed_delay, 0.99) AS delay
    FROM quote_ticks
    GROUP BY ci_id, market, minute
)
SELECT
    p.ci_id,
    MAP {'market': p.market, 'gateway': coalesce(g.name, p.ci_id), 'tier': coalesce(g.tier, 'none')} AS attributes,
    p.minute AS observed_at,
    p.delay AS value
FROM per_minute AS p
LEFT JOIN LATERAL (
    SELECT c.name, CAST(c.tier AS VARCHAR) AS tier
    FROM configuration_items AS c
    WHERE c.ci_id = p.ci_id
    ORDER BY c.ci_id
    LIMIT 1
) AS g ON TRUE
