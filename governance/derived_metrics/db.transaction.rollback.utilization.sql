/* ---
kind: derive
dataset: metric_instances
metric: db.transaction.rollback.utilization
version: 1.0.0
owner: data-engineering@example.com
description: What a database rolled back of all transactions that it ended in the day.
interval_s: 86400
window_s: 86400
units: {value_min: "%", value_max: "%", value_mean: "%"}
--- */
WITH ended AS (
    -- Counters only rise: what they rose by is what happened in the day.
    SELECT
        ci_id,
        sum(value_max - value_min) FILTER (metric = 'db.transaction.commits') AS committed,
        sum(value_max - value_min) FILTER (metric = 'db.transaction.rollbacks') AS rolled_back
    FROM metric_instances
    WHERE metric IN ('db.transaction.commits', 'db.transaction.rollbacks')
    GROUP BY ci_id
),
shares AS (
    SELECT ci_id, 100 * rolled_back / (rolled_back + committed) AS share
    FROM ended
    WHERE rolled_back + committed > 0
)
SELECT
    ci_id,
    MAP {}::MAP(VARCHAR, VARCHAR) AS attributes,
    1::BIGINT AS sample_count,
    share AS value_min,
    share AS value_max,
    share AS value_mean
FROM shares
