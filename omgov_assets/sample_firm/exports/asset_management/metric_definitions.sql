-- Metric definitions as asset_management exports them: intervals with their unit.
SELECT
    source_metric AS name,
    display_name AS title,
    description AS help,
    source_unit AS unit,
    instrument AS type,
    value_type,
    interval_s || 's' AS "interval",
    valid_min AS "min",
    valid_max AS "max",
    ci_class AS target,
    status = 'active' AS enabled,
    getvariable('day')::VARCHAR AS exported_on
FROM records
