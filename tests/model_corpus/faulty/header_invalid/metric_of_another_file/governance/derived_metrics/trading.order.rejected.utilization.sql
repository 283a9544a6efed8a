/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: li.na@example.com
description: Share of orders rejected, by market and for all markets of an application.
metric: trading.order.reject.utilization
interval_s: 300
window_s: 300
--- */
WITH orders AS (
    SELECT ci_id, market, status, time_bucket(INTERVAL 5 MINUTE, placed_at) AS slot
    FROM order_events
)
SELECT
    ci_id,
    CASE grouping(market)
        WHEN 1 THEN MAP {}::MAP(VARCHAR, VARCHAR)
        ELSE MAP {'market': market}
    END AS attributes,
    slot AS observed_at,
    100.0 * count(*) FILTER (WHERE status = 'rejected') / count(*) AS value
FROM orders
GROUP BY GROUPING SETS ((ci_id, slot, market), (ci_id, slot))
