/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: li.na@example.com
description: Orders per second, from the orders of the minute; applications that are out of use are left out.
metric: trading.order.rate
interval_s: 60
window_s: 120
--- */
SELECT
    s.ci_id,
    MAP {'market': coalesce(s.attributes['market'], 'all')} AS attributes,
    s.observed_at,
    sum(s.value) / epoch(INTERVAL 1 MINUTE) AS value
FROM metric_samples AS s
SEMI JOIN configuration_items AS c ON c.ci_id = s.ci_id AND c.status = 'in_use'
WHERE s.metric = 'trading.order.count' AND s.value IS NOT NULL AND s.source_metric <> 'test'
GROUP BY s.ci_id, s.attributes['market'], s.observed_at
