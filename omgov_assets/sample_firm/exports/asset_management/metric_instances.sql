-- Metric instances as asset_management exports them: labels, ISO 8601 times; a broken clock gives impossible times.
SELECT
    source_metric AS name,
    ci_id AS ci,
    attributes::JSON AS labels,
    source_unit AS unit,
    interval_s || 's' AS "interval",
    collector AS agent,
    strftime(make_timestamp(first_s * 1000000) + INTERVAL 8 HOUR, '%Y-%m-%dT%H:%M:%S+08:00') AS first_seen,
    if(
        unusable,
        strftime(getvariable('day'), '%Y-%m-%dT25:61:00+08:00'),
        strftime(make_timestamp(last_s * 1000000) + INTERVAL 8 HOUR, '%Y-%m-%dT%H:%M:%S+08:00')
    ) AS last_seen,
    sample_count AS "count",
    sample_min AS "min",
    sample_max AS "max",
    sample_mean AS mean,
    sample_distinct AS "distinct"
FROM records
