-- What a policy found day by day.
SELECT
    day,
    count(*) FILTER (verdict = 'failed') AS failed_checks,
    count(*) FILTER (verdict IN ('not_evaluated', 'error')) AS unjudged_checks,
    count(*) AS checks,
    coalesce(sum(failed), 0)::BIGINT AS failed,
    coalesce(sum(evaluated), 0)::BIGINT AS evaluated
FROM checks
GROUP BY day
ORDER BY day DESC
