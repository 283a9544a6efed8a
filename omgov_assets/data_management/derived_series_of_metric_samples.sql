-- One row for each series, with the profile of its points.
SELECT
    instance_id,
    any_value(ci_id) AS ci_id,
    any_value(attributes) AS attributes,
    count(*) AS sample_count,
    min(value) AS value_min,
    max(value) AS value_max,
    avg(value ORDER BY value) AS value_mean,
    count(DISTINCT value) AS sample_distinct,
    min(observed_at) AS first_seen_at,
    max(observed_at) AS last_seen_at
FROM derived_rows
GROUP BY instance_id
