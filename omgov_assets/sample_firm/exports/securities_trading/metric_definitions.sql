-- Metric definitions as securities_trading exports them: Chinese headers and words.
SELECT
    source_metric AS "指标编码",
    display_name AS "指标名称",
    description AS "指标说明",
    source_unit AS "计量单位",
    CASE instrument WHEN 'gauge' THEN '测量值' WHEN 'counter' THEN '累计值' WHEN 'updowncounter' THEN '增减值' ELSE '分布' END AS "指标类型",
    CASE value_type WHEN 'int' THEN '整数' ELSE '小数' END AS "数值类型",
    interval_s AS "采集间隔秒",
    valid_min AS "下限",
    valid_max AS "上限",
    CASE ci_class WHEN 'application' THEN '应用' WHEN 'host' THEN '主机' WHEN 'database' THEN '数据库' ELSE '网络设备' END AS "对象类型",
    CASE status WHEN 'active' THEN '启用' WHEN 'deprecated' THEN '弃用' ELSE '停用' END AS "状态",
    strftime(getvariable('day'), '%Y/%m/%d') AS "导出日期"
FROM records
