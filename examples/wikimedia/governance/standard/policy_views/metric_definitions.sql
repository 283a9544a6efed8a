-- What policies on metric_definitions see beside the row itself: whether the definition is in force, and must have a unit.
SELECT
    d.*,
    d.status <> 'withdrawn' AS is_in_force,
    d.status <> 'withdrawn' AS is_unit_expected
FROM dataset AS d
