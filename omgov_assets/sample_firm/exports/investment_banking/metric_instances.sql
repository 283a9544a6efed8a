-- Metric instances as investment_banking exports them: typed columns, UTC timestamps.
SELECT
    source_metric::VARCHAR AS metric_code,
    ci_id::VARCHAR AS ci_code,
    attributes::VARCHAR::JSON::MAP(VARCHAR, VARCHAR) AS dimensions,
    source_unit::VARCHAR AS unit_code,
    interval_s * 1000 AS interval_ms,
    collector::VARCHAR AS collector_code,
    make_timestamptz(first_s * 1000000) AS first_seen,
    make_timestamptz(last_s * 1000000) AS last_seen,
    sample_count AS points,
    sample_min AS low,
    sample_max AS high,
    sample_mean AS average,
    sample_distinct AS distinct_values
FROM records
