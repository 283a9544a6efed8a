-- Every metric that the baseline expects of a CI in use: whether any business system reports it, and whether any reports
-- anything at all of the CI.
WITH baseline AS (
    SELECT ci_class, tier, metric FROM control.baseline_metrics
),
configuration_items AS (
    SELECT ci_id, ci_class, tier
    FROM cmdb.configuration_items
    WHERE status = 'in_use' AND ci_class IN (SELECT ci_class FROM baseline)
    QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
),
reported AS (
    SELECT ci_id, if(metric IN (SELECT metric FROM baseline), metric, NULL) AS metric
    FROM firm.metric_instances
    GROUP BY ALL
)
SELECT DISTINCT
    c.ci_id,
    b.metric,
    r.metric IS NOT NULL AS is_reported,
    c.ci_id IN (SELECT ci_id FROM reported) AS is_monitored
FROM configuration_items AS c
JOIN baseline AS b ON c.ci_class = b.ci_class AND (b.tier IS NULL OR b.tier = c.tier)
LEFT JOIN reported AS r ON c.ci_id = r.ci_id AND b.metric = r.metric
