/* ---
kind: conform
dataset: metric_samples
version: 1.0.3
owner: wang.lei@example.com
description: Tags as text and local times to the standard; points of bad quality keep their time and lose their value.
--- */
SELECT
    指标编码 AS source_metric,
    对象编号 AS ci_id,
    coalesce(
        map_from_entries(
            list_transform(string_split(nullif(标签, ''), ';'), lambda 对: struct_pack(k := split_part(对, '=', 1), v := split_part(对, '=', 2)))
        ),
        MAP {}::MAP(VARCHAR, VARCHAR)
    ) AS attributes,
    timezone('Asia/Shanghai', 采集时间) AS observed_at,
    CASE WHEN coalesce(质量码, 0) = 0 THEN 采集值 END AS "value",
    _batch_id,
    _record_no
FROM source
