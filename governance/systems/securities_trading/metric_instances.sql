/* ---
kind: conform
dataset: metric_instances
version: 1.0.0
owner: data-engineering@example.com
description: Tags as text and local times to the standard.
--- */
SELECT
    metric_code AS source_metric,
    object_no AS ci_id,
    CASE
        WHEN tags IS NULL THEN MAP {}::MAP(VARCHAR, VARCHAR)
        ELSE map_from_entries(
            list_transform(
                string_split(tags, ';'),
                lambda tag: struct_pack(k := split_part(tag, '=', 1), v := substr(tag, strpos(tag, '=') + 1))
            )
        )
    END AS attributes,
    unit AS source_unit,
    interval_s,
    collector,
    first_reported AT TIME ZONE 'Asia/Shanghai' AS first_seen_at,
    last_reported AT TIME ZONE 'Asia/Shanghai' AS last_seen_at,
    points AS sample_count,
    lowest AS sample_min,
    highest AS sample_max,
    average AS sample_mean,
    distinct_values AS sample_distinct,
    _batch_id,
    _record_no
FROM source
