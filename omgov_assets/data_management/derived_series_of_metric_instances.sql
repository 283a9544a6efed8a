-- One row for each series, with the profile that the model gives.
SELECT
    instance_id,
    ci_id,
    attributes,
    sample_count,
    value_min,
    value_max,
    value_mean,
    NULL::BIGINT AS sample_distinct,
    NULL::TIMESTAMPTZ AS first_seen_at,
    NULL::TIMESTAMPTZ AS last_seen_at
FROM derived_rows
