-- How far one business system is from the standard: one row over the views `standard`, `definitions`, `instances` of a day.
WITH judged AS (
    SELECT
        d.metric,
        s.stability,
        d.metric IS NOT NULL
            AND d.unit_status = 'ok'
            AND d.instrument = s.instrument
            AND d.value_type = s.value_type
            AND d.interval_s = s.interval_s
            AND s.stability NOT IN ('deprecated', 'withdrawn') AS conforming
    FROM definitions AS d
    LEFT JOIN standard AS s ON d.metric = s.metric
),
of_definitions AS (
    SELECT
        count(*) AS definitions,
        count(metric) AS mapped,
        count(*) FILTER (conforming) AS conforming,
        count(*) FILTER (stability = 'deprecated') AS deprecated_in_use,
        count(*) FILTER (stability = 'withdrawn') AS withdrawn_in_use
    FROM judged
),
by_metric AS (
    SELECT metric, count(*) AS instances FROM instances GROUP BY metric
),
of_instances AS (
    SELECT
        coalesce(sum(instances), 0)::BIGINT AS instances,
        coalesce(sum(instances) FILTER (metric IS NOT NULL), 0)::BIGINT AS instances_mapped
    FROM by_metric
),
used AS (
    SELECT list(DISTINCT metric) AS metrics
    FROM (SELECT metric FROM judged UNION ALL SELECT metric FROM by_metric)
    WHERE metric IS NOT NULL
)
SELECT * FROM of_definitions, of_instances, used
