-- Metric definitions as institutional_trading exports them.
SELECT
    source_metric AS metric,
    display_name AS label,
    description AS "comment",
    source_unit AS unit,
    instrument AS kind,
    if(value_type = 'int', 'long', 'double') AS "dataType",
    interval_s AS "periodSeconds",
    valid_min AS "lowest",
    valid_max AS "highest",
    CASE ci_class WHEN 'network_device' THEN 'network' ELSE ci_class END AS "scope",
    status,
    epoch_ns(getvariable('day')::TIMESTAMP) AS "exportedNs"
FROM records
