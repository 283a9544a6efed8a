/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Chinese words to the standard vocabulary.
quarantine_without: [status]
--- */
SELECT
    metric_code AS source_metric,
    metric_name AS display_name,
    explanation AS description,
    unit AS source_unit,
    CASE metric_type WHEN '测量值' THEN 'gauge' WHEN '累计值' THEN 'counter' WHEN '增减值' THEN 'updowncounter' WHEN '分布' THEN 'histogram' END AS instrument,
    CASE number_type WHEN '整数' THEN 'int' WHEN '小数' THEN 'double' END AS value_type,
    interval_s,
    lower_limit AS valid_min,
    upper_limit AS valid_max,
    CASE object_type WHEN '应用' THEN 'application' WHEN '主机' THEN 'host' WHEN '数据库' THEN 'database' WHEN '网络设备' THEN 'network_device' END AS ci_class,
    CASE state WHEN '启用' THEN 'active' WHEN '弃用' THEN 'deprecated' WHEN '停用' THEN 'withdrawn' END AS status,
    _batch_id,
    _record_no
FROM source
