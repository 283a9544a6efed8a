-- Metric instances as securities_trading exports them: local times as text; an agent that cannot count writes N/A.
SELECT
    source_metric AS "指标编码",
    ci_id AS "对象编号",
    attributes_text AS "标签",
    source_unit AS "计量单位",
    interval_s AS "采集间隔秒",
    collector AS "采集器",
    strftime(make_timestamp(first_s * 1000000) + INTERVAL 8 HOUR, '%Y/%m/%d %H:%M:%S') AS "首次上报时间",
    strftime(make_timestamp(last_s * 1000000) + INTERVAL 8 HOUR, '%Y/%m/%d %H:%M:%S') AS "最近上报时间",
    sample_count AS "当日点数",
    sample_min AS "当日最小值",
    if(unusable, 'N/A', sample_max::VARCHAR) AS "当日最大值",
    sample_mean AS "当日平均值",
    sample_distinct AS "当日不同值数"
FROM records
