-- Numbers whose median is of another order of magnitude than before: metric, name of the number, both medians. Medians are
-- approximate, so that memory does not grow with the rows.
WITH middle AS (
    SELECT metric, name, approx_quantile(number, 0.5) AS middle, count(number) AS numbers
    FROM numbers_now
    GROUP BY ALL
),
middle_before AS (
    SELECT metric, name, approx_quantile(number, 0.5) AS middle, count(number) AS numbers
    FROM numbers_before
    GROUP BY ALL
)
SELECT now.metric, now.name, now.middle, before.middle
FROM middle AS now
JOIN middle_before AS before
    ON now.name = before.name
    AND now.metric IS NOT DISTINCT FROM before.metric
WHERE least(now.numbers, before.numbers) >= $least_rows
    AND now.middle * before.middle > 0
    AND (now.middle / before.middle >= $shift OR before.middle / now.middle >= $shift)
ORDER BY now.metric, now.name
