-- What a business system has of one standard metric: its source metrics over `definitions` and `instances` of a day.
SELECT
    source_metric,
    count(*) FILTER (part = 'definition') AS definitions,
    any_value(source_unit) FILTER (part = 'definition') AS source_unit,
    any_value(instrument) AS instrument,
    any_value(value_type) AS value_type,
    any_value(interval_s) FILTER (part = 'definition') AS interval_s,
    count(*) FILTER (part = 'instance') AS instances
FROM (
    SELECT 'definition' AS part, source_metric, source_unit, instrument, value_type, interval_s
    FROM definitions
    WHERE metric = $metric
    UNION ALL
    SELECT 'instance', source_metric, NULL, NULL, NULL, NULL
    FROM instances
    WHERE metric = $metric
)
GROUP BY source_metric
ORDER BY instances DESC, source_metric
