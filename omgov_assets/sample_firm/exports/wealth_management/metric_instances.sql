-- Metric instances as wealth_management exports them: first time as local text, last time as epoch seconds.
SELECT
    source_metric::VARCHAR AS METRIC_NAME,
    ci_id::VARCHAR AS CI_NO,
    attributes::VARCHAR AS TAGS,
    source_unit::VARCHAR AS UNIT,
    interval_s AS INTERVAL_SEC,
    collector::VARCHAR AS AGENT,
    strftime(make_timestamp(first_s * 1000000) + INTERVAL 8 HOUR, '%Y-%m-%d %H:%M:%S') AS FIRST_TIME,
    last_s AS LAST_TIME,
    sample_count AS SAMPLE_CNT,
    sample_min AS MIN_VAL,
    sample_max AS MAX_VAL,
    sample_mean AS AVG_VAL,
    sample_distinct AS DISTINCT_CNT
FROM records
