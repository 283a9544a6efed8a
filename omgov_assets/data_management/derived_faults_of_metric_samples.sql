-- What is wrong with a model's points, and with how many.
WITH judged AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY ci_id, attributes, observed_at) AS occurrence
    FROM derived_rows
)
SELECT problem, count(*) AS rows
FROM (
    SELECT unnest([
        CASE WHEN ci_id IS NULL THEN 'have no ci_id' END,
        CASE WHEN attributes IS NULL THEN 'have no attributes' END,
        CASE WHEN observed_at IS NULL THEN 'have no observed_at' END,
        CASE WHEN value IS NULL THEN 'have no value' END,
        CASE WHEN NOT isfinite(value) THEN 'have a value that is no finite number' END,
        CASE WHEN observed_at < $day_start OR observed_at >= $day_end THEN 'lie outside the business day' END,
        CASE WHEN occurrence > 1 THEN 'repeat a ci_id, attributes and observed_at' END
    ]) AS problem
    FROM judged
)
WHERE problem IS NOT NULL
GROUP BY problem
ORDER BY problem
