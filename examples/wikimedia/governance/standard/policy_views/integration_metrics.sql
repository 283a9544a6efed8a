-- What policies on integration_metrics see beside the row itself: whether the line is of the newest snapshot of its
-- repository, and a unit that the metric's own name contradicts.
SELECT
    i.*,
    i.snapshot = max(i.snapshot) OVER (PARTITION BY i.repo) AS is_in_force,
    if(
        regexp_matches(i.source_metric, '(^|[._])bytes$') AND NOT ends_with(i.unit_name, 'byte'), i.unit_name, NULL
    ) AS contradicted_unit
FROM dataset AS i
