-- The policies that judged a day, with their verdicts; those that were published and gave none as well.
SELECT
    coalesce(checks.dataset, published.dataset) AS dataset,
    coalesce(checks.system, published.system) AS system,
    coalesce(checks.policy_id, published.policy_id) AS policy_id,
    coalesce(checks.anomaly_type, published.anomaly_type) AS anomaly_type,
    coalesce(checks.severity, published.severity) AS severity,
    coalesce(checks.quality_dimension, published.quality_dimension) AS quality_dimension,
    coalesce(checks.expected, published.expected) AS expected,
    column_name,
    coalesce(verdict, 'not_evaluated') AS verdict,
    evaluated,
    failed,
    reason
FROM checks
FULL JOIN (
    SELECT DISTINCT dataset, system, policy_id, anomaly_type, severity, quality_dimension, expected
    FROM policies
) AS published USING (dataset, system, policy_id)
ORDER BY
    dataset,
    list_position(['failed', 'error', 'not_evaluated', 'passed'], coalesce(verdict, 'not_evaluated')),
    list_position(['critical', 'warning', 'info'], coalesce(checks.severity, published.severity)),
    failed DESC NULLS LAST,
    policy_id,
    system
