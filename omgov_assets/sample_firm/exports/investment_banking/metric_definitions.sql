-- Metric definitions as investment_banking exports them: intervals in milliseconds.
SELECT
    source_metric AS metric_code,
    display_name AS metric_name,
    description AS metric_text,
    source_unit AS unit_code,
    upper(instrument) AS metric_type,
    value_type = 'int' AS is_integer,
    interval_s * 1000 AS interval_ms,
    valid_min AS lower_limit,
    valid_max AS upper_limit,
    upper(ci_class) AS ci_type,
    upper(status) AS state,
    getvariable('day')::DATE AS export_date
FROM records
