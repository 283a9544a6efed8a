-- What was not judged, and why: policies of a dataset with the same verdict for the same reason are one row.
SELECT
    system,
    dataset,
    verdict,
    coalesce(reason, 'no reason given') AS reason,
    count(*) AS policies,
    list_sort(list(policy_id)) AS policy_ids
FROM check_results
WHERE verdict IN ('not_evaluated', 'error')
GROUP BY ALL
ORDER BY verdict, system, dataset, reason
