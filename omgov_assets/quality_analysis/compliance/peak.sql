-- The highest load of a business system by one of its metrics, over all days up to one.
--
-- Reads two columns of the inventories beside their partition: metric and value_max, the highest value of the day in the
-- metric's own unit. Values outside the metric's valid range are faults of the data, which the quality policies report;
-- they are counted and left out. Sums are over sorted values, so that they are the same on every run.
--
-- Binds: metric, day, valid_min, valid_max (both may be null).
WITH measured AS (
    SELECT
        day,
        value_max,
        value_max IS NOT NULL
        AND isfinite(value_max)
        AND ($valid_min IS NULL OR value_max >= $valid_min)
        AND ($valid_max IS NULL OR value_max <= $valid_max) AS is_usable
    FROM instances
    WHERE metric = $metric AND day <= $day
),

by_day AS (
    SELECT
        day,
        count(*) AS instances,
        max(value_max) AS of_instance,
        sum(value_max ORDER BY value_max) AS of_system
    FROM measured
    WHERE is_usable
    GROUP BY day
)

SELECT
    (SELECT count(*) FROM by_day) AS days,
    (SELECT count(*) FROM measured WHERE NOT is_usable) AS unusable,
    peak.day,
    peak.instances,
    peak.of_instance,
    peak.of_system
FROM (SELECT 1) AS always
LEFT JOIN (
    SELECT * FROM by_day
    ORDER BY CASE WHEN $peak_of = 'system' THEN of_system ELSE of_instance END DESC, day
    LIMIT 1
) AS peak ON true
