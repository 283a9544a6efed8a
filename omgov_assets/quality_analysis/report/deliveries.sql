-- Every delivery of the day, and every dataset that brought none; what needs a person first.
SELECT
    system,
    dataset,
    file_name,
    batch_id,
    decision,
    reason_code,
    reason,
    quarantine_reasons,
    rows_in,
    rows_admitted,
    rows_quarantined
FROM ledger
UNION ALL BY NAME
SELECT system, dataset, 'not_delivered' AS decision, 'nothing was delivered for the day' AS reason
FROM anomalies
WHERE list_contains(policy_ids, $not_delivered)
ORDER BY
    list_position(['not_delivered', 'refused', 'partial', 'admitted', 'repeated', 'superseded'], decision),
    system,
    dataset,
    file_name,
    batch_id
