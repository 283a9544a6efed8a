-- Metric definitions as wealth_management exports them.
SELECT
    source_metric AS METRIC_NAME,
    display_name AS METRIC_TITLE,
    description AS METRIC_DESC,
    source_unit AS UNIT,
    instrument AS KIND,
    value_type AS DATA_TYPE,
    interval_s // 60 AS INTERVAL_MIN,
    interval_s % 60 AS INTERVAL_SEC,
    valid_min AS MIN_VALID,
    valid_max AS MAX_VALID,
    ci_class AS CI_TYPE,
    if(status = 'active', 'Y', 'N') AS IN_USE,
    getvariable('day')::VARCHAR AS EXPORT_DATE
FROM records
