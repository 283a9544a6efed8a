-- Metric samples as securities_trading exports them.
SELECT
    source_metric AS "指标编码",
    ci_id AS "对象编号",
    attributes_text AS "标签",
    strftime(make_timestamp(observed_s * 1000000) + INTERVAL 8 HOUR, '%Y/%m/%d %H:%M:%S') AS "采集时间",
    "value" AS "采集值"
FROM records
