/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: li.na@example.com
description: Orders placed per minute, by market and side.
metric: trading.order.count
interval_s: 60
window_s: 60
--- */
SELECT
    ci_id,
    MAP {'market': market, 'side': side} AS attributes,
    time_bucket(INTERVAL '1 minute', placed_at) AS observed_at,
    count(*)::DOUBLE AS value
FROM order_events
WHERE status <> 'cancelled'
GROUP BY ALL;

SELECT ci_id, count(*) FROM order_events GROUP BY ci_id
