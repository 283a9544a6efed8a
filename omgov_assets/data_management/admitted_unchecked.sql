-- How many datasets of a day have rows that their checks have not read. Views `ledger` and `check_results` are of the
-- day; both name the Delta version of the dataset's table.
SELECT count(*)
FROM (
    SELECT system, dataset, max(data_version) AS admitted_at
    FROM ledger
    WHERE decision IN ('admitted', 'partial')
    GROUP BY ALL
)
JOIN (
    SELECT system, dataset, max(data_version) AS checked_at
    FROM check_results
    GROUP BY ALL
) USING (system, dataset)
WHERE admitted_at > checked_at
