/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: chen.min@example.com
description: Steps such as 10s, epoch nanoseconds and a profile in JSON to the standard.
--- */
WITH typed AS (
    SELECT DISTINCT ON (metric, ci, labels)
        *,
        CAST(stats AS JSON) AS profile,
        {'amount': TRY_CAST(regexp_extract(step, '^(\d+)[smh]$', 1) AS BIGINT), 'scale': right(step, 1)} AS stepped
    FROM source
    ORDER BY metric, ci, labels, _record_no
)
SELECT
    metric AS source_metric,
    ci AS ci_id,
    map_from_entries(
        list_filter(map_entries(labels), lambda entry: NOT starts_with(entry.key, '__'))
    ) AS attributes,
    unit AS source_unit,
    stepped.amount * CASE stepped.scale WHEN 's' THEN 1 WHEN 'm' THEN 60 ELSE 3600 END AS interval_s,
    agent AS collector,
    make_timestamptz(first_ns // 1000) AS first_seen_at,
    make_timestamptz(last_ns // 1000) AS last_seen_at,
    CAST(profile ->> '$.n' AS BIGINT) AS sample_count,
    CAST(profile ->> '$.min' AS DOUBLE) AS sample_min,
    CAST(profile ->> '$.max' AS DOUBLE) AS sample_max,
    CAST(profile ->> '$.avg' AS DOUBLE) AS sample_mean,
    CAST(profile ->> '$.distinct' AS BIGINT) AS sample_distinct,
    _batch_id,
    _record_no
FROM typed
