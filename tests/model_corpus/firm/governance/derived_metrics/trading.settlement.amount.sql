/* ---
kind: derive
dataset: metric_samples
version: 2.1.0
owner: li.na@example.com
description: Amount that is instructed and not settled yet, at the end of every five minutes in which it changed.
metric: trading.settlement.amount
interval_s: 300
window_s: 86400
--- */
WITH movements AS (
    SELECT ci_id, instructed_at AS moment, amount + coalesce(fee, 0) AS moved
    FROM trade_settlements
    WHERE status <> 'failed'
    UNION ALL
    SELECT ci_id, settled_at, -(amount + coalesce(fee, 0))
    FROM trade_settlements
    WHERE status = 'settled' AND settled_at IS NOT NULL
),
balances AS (
    SELECT
        ci_id,
        moment,
        sum(moved) OVER (PARTITION BY ci_id ORDER BY moment RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS open_amount
    FROM movements
)
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    time_bucket(INTERVAL 5 MINUTE, moment) AS observed_at,
    arg_max(open_amount, moment) AS value
FROM balances
GROUP BY ci_id, time_bucket(INTERVAL 5 MINUTE, moment)
