/* ---
kind: derive
dataset: metric_samples
version: 1.3.0
owner: li.na@example.com
description: 95th percentile of the time to the exchange's acknowledgement, in seconds, per minute and market.
metric: trading.order.ack.duration
interval_s: 60
window_s: 60
--- */
WITH acknowledged AS (
    SELECT ci_id, market, placed_at, ack_latency AS waited
    FROM order_events
    WHERE ack_latency IS NOT NULL AND status NOT IN ('placed', 'rejected')
)
SELECT
    ci_id,
    MAP {'market': market} AS attributes,
    date_trunc('minute', placed_at) AS observed_at,
    quantile_cont(waited, 0.95) / 1000 AS value
FROM acknowledged
GROUP BY ci_id, market, date_trunc('minute', placed_at)
HAVING count(*) >= 3
