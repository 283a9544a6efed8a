-- What policies on metric_definitions see beside the row itself: here texts are fields, too, and only numbers have a unit.
SELECT
    d.*,
    d.status <> 'withdrawn' AS is_in_force,
    d.value_type IS NOT DISTINCT FROM 'double' AS is_unit_expected
FROM dataset AS d
