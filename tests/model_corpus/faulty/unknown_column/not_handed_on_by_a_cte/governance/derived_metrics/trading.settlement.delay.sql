/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: li.na@example.com
description: Mean time until all legs of a trade are settled, by the market of its order.
metric: trading.settlement.delay
interval_s: 300
window_s: 86400
--- */
WITH trades AS (
    SELECT
        trade_id,
        min(ci_id) AS ci_id,
        min(instructed_at) AS begun,
        max(settled_at) AS done
    FROM trade_settlements
    GROUP BY trade_id
    HAVING bool_and(status = 'settled') AND max(settled_at) IS NOT NULL
)
SELECT
    t.ci_id,
    MAP {'market': coalesce(o.market, 'none')} AS attributes,
    time_bucket(INTERVAL 5 MINUTE, t.done) AS observed_at,
    avg(date_diff('millisecond', t.begun, t.done)) / 1000 AS value
FROM trades AS t
LEFT JOIN order_events AS o ON o.order_id = t.order_id
GROUP BY 1, 2, 3
