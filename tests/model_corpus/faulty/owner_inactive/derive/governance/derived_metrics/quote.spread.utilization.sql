/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: zhou.jie@example.com
description: Mean spread of the best quotes as a share of the middle price.
metric: quote.spread.utilization
interval_s: 60
window_s: 60
--- */
select
    ci_id,
    map {'market': market} as attributes,
    date_trunc('minute', received_at) as observed_at,
    avg(100 * (ask - bid) / ((ask + bid) / 2)) as value
from quote_ticks
where ask > bid and bid > 0
group by ci_id, market, date_trunc('minute', received_at)
