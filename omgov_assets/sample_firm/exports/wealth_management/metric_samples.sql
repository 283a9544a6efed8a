-- Metric samples as wealth_management exports them.
SELECT
    source_metric::VARCHAR AS METRIC_NAME,
    ci_id::VARCHAR AS CI_NO,
    attributes::VARCHAR AS TAGS,
    observed_s AS SAMPLE_TIME,
    "value" AS SAMPLE_VAL
FROM records
