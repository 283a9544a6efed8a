-- How many anomalies of each key of a dimension have which root cause, the most frequent first; null is what none explains.
SELECT
    key,
    of_key.cause_id,
    any_value(root_causes.rank) AS rank,
    count(*) AS anomalies
FROM of_key
LEFT JOIN root_causes USING (cause_id)
GROUP BY key, of_key.cause_id
QUALIFY of_key.cause_id IS NULL OR row_number() OVER (
    PARTITION BY key, of_key.cause_id IS NULL ORDER BY count(*) DESC, of_key.cause_id
) <= $top
ORDER BY key, of_key.cause_id IS NULL, anomalies DESC, of_key.cause_id
