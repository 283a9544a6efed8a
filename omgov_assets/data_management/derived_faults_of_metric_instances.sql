-- What is wrong with a model's series, and with how many.
WITH judged AS (
    SELECT *, row_number() OVER (PARTITION BY ci_id, attributes) AS occurrence
    FROM derived_rows
)
SELECT problem, count(*) AS rows
FROM (
    SELECT unnest([
        CASE WHEN ci_id IS NULL THEN 'have no ci_id' END,
        CASE WHEN attributes IS NULL THEN 'have no attributes' END,
        CASE WHEN value_mean IS NULL THEN 'have no value_mean' END,
        CASE
            WHEN NOT isfinite(value_mean) OR NOT isfinite(value_min) OR NOT isfinite(value_max)
                THEN 'have a value that is no finite number'
        END,
        CASE WHEN occurrence > 1 THEN 'repeat a ci_id and attributes' END
    ]) AS problem
    FROM judged
)
WHERE problem IS NOT NULL
GROUP BY problem
ORDER BY problem
