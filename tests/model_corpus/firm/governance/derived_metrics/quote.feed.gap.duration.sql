/* ---
kind: derive
dataset: metric_samples
version: 1.0.0
owner: chen.min@example.com
description: Longest stretch without a tick between two runs of ticks, per gateway and five minutes.
metric: quote.feed.gap.duration
interval_s: 300
window_s: 600
--- */
-- Gaps and islands: a tick more than three seconds after the one before begins a new run.
WITH ticks AS (
    SELECT
        ci_id,
        exchange_at,
        coalesce(
            exchange_at - lag(exchange_at) OVER (PARTITION BY ci_id ORDER BY exchange_at, symbol, market, sequence_no),
            INTERVAL 1 HOUR
        ) > INTERVAL 3 SECOND AS begins
    FROM quote_ticks
),
numbered AS (
    SELECT
        ci_id,
        exchange_at,
        sum(CASE WHEN begins THEN 1 ELSE 0 END)
            OVER (PARTITION BY ci_id ORDER BY exchange_at RANGE UNBOUNDED PRECEDING) AS run
    FROM ticks
),
runs AS (
    SELECT ci_id, run, min(exchange_at) AS first_at, max(exchange_at) AS last_at
    FROM numbered
    GROUP BY ci_id, run
),
gaps AS (
    SELECT
        ci_id,
        last_at,
        epoch(lead(first_at) OVER (PARTITION BY ci_id ORDER BY run) - last_at) AS silent
    FROM runs
)
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    time_bucket(INTERVAL 5 MINUTE, last_at) AS observed_at,
    max(silent) AS value
FROM gaps
WHERE silent IS NOT NULL
GROUP BY ALL
