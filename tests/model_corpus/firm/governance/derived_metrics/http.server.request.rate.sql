/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: observability@example.com
description: Requests per second between two points of the counter; a counter that fell began at zero.
metric: http.server.request.rate
interval_s: 10
window_s: 60
--- */
with steps as (
    select
        ci_id,
        attributes,
        observed_at,
        value,
        lag(value) over w       as previous,
        lag(observed_at) over w as previous_at
    from metric_samples
    where metric = 'http.server.requests' and value is not null
    window w as (partition by instance_id order by observed_at)
)
select
    ci_id,
    attributes,
    observed_at,
    (case when value >= previous then value - previous else value end) / epoch(observed_at - previous_at) as value
from steps
where previous is not null
    and epoch(observed_at - previous_at) between 1 and 60;
