-- What a derive model sees as metric_instances: an instance that is listed several times is taken from its first record.
WITH delivered AS (
    SELECT *
    FROM staging.instances
    QUALIFY row_number() OVER (PARTITION BY instance_id ORDER BY system, _batch_id, _record_no) = 1
),
seen AS (
    SELECT * FROM delivered
    UNION ALL BY NAME
    SELECT * FROM staging.derived
)
SELECT
    system,
    instance_id,
    metric,
    ci_id,
    attributes::JSON::MAP(VARCHAR, VARCHAR) AS attributes,
    interval_s,
    sample_count,
    value_min,
    value_max,
    value_mean
FROM seen
