-- Metric samples as investment_banking exports them.
SELECT
    source_metric::VARCHAR AS metric_code,
    ci_id::VARCHAR AS ci_code,
    attributes::VARCHAR::JSON::MAP(VARCHAR, VARCHAR) AS dimensions,
    make_timestamptz(observed_s * 1000000) AS sampled_at,
    "value" AS sample_value
FROM records
