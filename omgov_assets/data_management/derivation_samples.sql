-- What a derive model sees as metric_samples.
SELECT
    system,
    instance_id,
    metric,
    ci_id,
    attributes::JSON::MAP(VARCHAR, VARCHAR) AS attributes,
    observed_at,
    value
FROM staging.judged
WHERE left_out IS NULL
UNION ALL
SELECT
    system,
    instance_id,
    metric,
    ci_id,
    attributes::JSON::MAP(VARCHAR, VARCHAR) AS attributes,
    observed_at,
    value
FROM staging.derived
