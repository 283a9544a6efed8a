-- What policies on metric_definitions see beside the row itself: the unit of the standard metric it is mapped to.
SELECT d.*, s.unit AS standard_unit
FROM dataset AS d
LEFT JOIN control.standard_metrics AS s ON d.metric = s.metric
