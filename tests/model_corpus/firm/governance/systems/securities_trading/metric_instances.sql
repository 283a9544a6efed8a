/* ---
kind: conform
dataset: metric_instances
version: 2.0.1
owner: wang.lei@example.com
description: Tags, intervals and value ranges as text, and local times, to the standard.
--- */
with intervals as (
    select
        _record_no,
        try_cast(regexp_extract("采集周期", '^(\d+)', 1) as bigint)
            * case
                when "采集周期" like '%秒' then 1
                when "采集周期" like '%分钟' then 60
                when "采集周期" like '%小时' then 3600
              end as interval_s
    from source
),
extremes as (
    select
        _record_no,
        string_split("极值", '~') as parts
    from source
)
select
    s."指标编码" as source_metric,
    s."对象编号" as ci_id,
    case
        when s."标签" is null or s."标签" = '' then map {}::map(varchar, varchar)
        else map_from_entries(
            list_transform(
                list_filter(string_split(s."标签", ';'), lambda tag: contains(tag, '=')),
                lambda tag: struct_pack(k := trim(split_part(tag, '=', 1)), v := substr(tag, strpos(tag, '=') + 1))
            )
        )
    end as attributes,
    nullif(s."计量单位", '') as source_unit,
    i.interval_s,
    s."采集器" as collector,
    s."首次采集" at time zone 'Asia/Shanghai' as first_seen_at,
    s."最近采集" at time zone 'Asia/Shanghai' as last_seen_at,
    s."采样数" as sample_count,
    try_cast(x.parts[1] as double) as sample_min,
    try_cast(x.parts[len(x.parts)] as double) as sample_max,
    s."均值" as sample_mean,
    s."不同值数" as sample_distinct,
    s._batch_id,
    s._record_no
-- The record's own number is the key of source: each of these looks up the record itself.
from source as s
join intervals as i using (_record_no)
left join extremes as x on x._record_no = s._record_no;
