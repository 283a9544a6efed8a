-- Check results of a day, one row for each dataset and quality dimension: its verdict is the gravest of its policies'.
SELECT
    system,
    dataset,
    quality_dimension,
    ['error', 'not_evaluated', 'failed', 'passed'][
        min(list_position(['error', 'not_evaluated', 'failed', 'passed'], verdict))
    ] AS verdict,
    ['critical', 'warning', 'info'][
        min(list_position(['critical', 'warning', 'info'], severity)) FILTER (verdict = 'failed')
    ] AS failed_severity,
    count(*) AS policies,
    count(*) FILTER (verdict = 'failed') AS policies_failed,
    count(*) FILTER (verdict = 'not_evaluated') AS policies_not_evaluated,
    count(*) FILTER (verdict = 'error') AS policies_in_error,
    coalesce(sum(failed), 0)::BIGINT AS rows_failed
FROM check_results
GROUP BY system, dataset, quality_dimension
ORDER BY system, dataset, quality_dimension
