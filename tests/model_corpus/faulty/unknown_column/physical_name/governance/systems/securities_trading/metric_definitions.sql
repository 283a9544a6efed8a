/* ---
kind: conform
dataset: metric_definitions
version: 1.2.0
owner: wang.lei@example.com
description: Chinese vocabularies, intervals such as 1分钟 and ranges such as [0,100] to the standard.
--- */
WITH 解析 AS (
    SELECT
        *,
        TRY_CAST(regexp_extract(period, '^([0-9]+)', 1) AS BIGINT) AS 周期数,
        regexp_extract(period, '[^0-9]+$') AS 周期单位,
        string_split(trim(range, '[]'), ',') AS 上下限
    FROM source
)
SELECT
    metric_code AS source_metric,
    指标名称 AS display_name,
    explanation AS description,
    unit AS source_unit,
    CASE metric_type
        WHEN '测量值' THEN 'gauge'
        WHEN '累计值' THEN 'counter'
        WHEN '增减值' THEN 'updowncounter'
        WHEN '分布' THEN 'histogram'
    END AS instrument,
    CASE number_type WHEN '整数' THEN 'int' WHEN '小数' THEN 'double' END AS value_type,
    周期数 * CASE 周期单位 WHEN '秒' THEN 1 WHEN '分钟' THEN 60 WHEN '小时' THEN 3600 END AS interval_s,
    TRY_CAST(上下限[1] AS DOUBLE) AS valid_min,
    TRY_CAST(上下限[2] AS DOUBLE) AS valid_max,
    CASE object_class
        WHEN '主机' THEN 'host'
        WHEN '数据库' THEN 'database'
        WHEN '网络设备' THEN 'network_device'
        ELSE 'application'
    END AS ci_class,
    -- Whatever the export adds to its vocabulary goes on as it is, for the contract to refuse.
    CASE state WHEN '启用' THEN 'active' WHEN '弃用' THEN 'deprecated' WHEN '停用' THEN 'withdrawn' ELSE state END AS status,
    _batch_id,
    _record_no
FROM 解析
