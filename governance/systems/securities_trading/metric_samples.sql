/* ---
kind: conform
dataset: metric_samples
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
    collected_at AT TIME ZONE 'Asia/Shanghai' AS observed_at,
    reading AS "value",
    _batch_id,
    _record_no
FROM source
