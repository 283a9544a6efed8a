-- Verdicts of a policy, the last day first.
SELECT day, system, dataset, policy_id, anomaly_type, severity, quality_dimension, expectation_type, column_name,
    expected, verdict, evaluated, failed, reason
FROM checks
ORDER BY day DESC, failed DESC NULLS LAST, system, dataset, column_name
