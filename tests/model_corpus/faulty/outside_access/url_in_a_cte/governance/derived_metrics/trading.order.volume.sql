/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: li.na@example.com
description: Shares ordered, by side in the words of the exchange.
metric: trading.order.volume
interval_s: 300
window_s: 600
units: {value: "{share}"}
--- */
WITH halted AS (
    SELECT market FROM read_json_auto('https://intranet.example.com/halted.json')
)
SELECT
    o.ci_id,
    MAP {'方向': 方向.名称, 'market': o.market} AS attributes,
    time_bucket(INTERVAL 5 MINUTE, o.placed_at) AS observed_at,
    sum(coalesce(o.filled_quantity, o.quantity)) AS value
FROM order_events AS o
JOIN (VALUES ('buy', '买入'), ('sell', '卖出')) AS 方向(side, 名称) ON 方向.side = o.side
WHERE o.status IN ('acknowledged', 'partly_filled', 'filled')
    AND o.market NOT IN (SELECT market FROM halted)
GROUP BY ALL
