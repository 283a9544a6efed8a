/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: li.na@example.com
description: Mean time from placing to filling of those orders that took longer than the mean of their market.
metric: trading.order.fill.duration
interval_s: 300
window_s: 300
--- */
WITH filled AS (
    SELECT
        ci_id,
        market,
        placed_at,
        epoch(filled_at - placed_at) AS taken
    FROM order_events
    WHERE status = 'filled' AND filled_at IS NOT NULL
),
slow AS (
    SELECT f.*
    FROM filled AS f
    WHERE f.taken > (SELECT avg(m.taken) FROM filled AS m WHERE m.market = f.market)
)
SELECT
    ci_id,
    MAP {'market': market, 'orders': CAST(count(*) AS VARCHAR)} AS attributes,
    time_bucket(to_minutes(5), placed_at) AS observed_at,
    CAST(avg(taken) AS DECIMAL(18, 3)) AS value
FROM slow
GROUP BY ci_id, market, time_bucket(to_minutes(5), placed_at)
