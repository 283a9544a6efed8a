-- What policies on metric_definitions see beside the row itself: whether the definition is in force and must have
-- a unit, and a unit that cannot be read or does not fit the standard metric.
SELECT
    d.*,
    d.status <> 'withdrawn' AS is_in_force,
    d.status <> 'withdrawn' AS is_unit_expected,
    if(d.unit_status = 'unknown', d.source_unit, NULL) AS unknown_unit,
    if(d.unit_status = 'incompatible', d.source_unit, NULL) AS incompatible_unit
FROM dataset AS d
