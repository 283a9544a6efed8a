-- Metric samples as institutional_trading exports them.
SELECT
    source_metric AS metric,
    ci_id AS ci,
    attributes::JSON AS tags,
    observed_s * 1000000000 AS "timeNs",
    "value"
FROM records
