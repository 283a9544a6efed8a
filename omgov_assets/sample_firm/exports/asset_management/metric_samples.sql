-- Metric samples as asset_management exports them.
SELECT
    source_metric AS name,
    ci_id AS ci,
    attributes::JSON AS labels,
    strftime(make_timestamp(observed_s * 1000000) + INTERVAL 8 HOUR, '%Y-%m-%dT%H:%M:%S+08:00') AS "time",
    "value"
FROM records
