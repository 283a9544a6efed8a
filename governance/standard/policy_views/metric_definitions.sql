-- What policies on metric_definitions see beside the row itself: the unit of the standard metric it is mapped to, and where
-- its type is not the standard's, which other business system states it as the standard does.
WITH as_the_standard AS (
    SELECT d.metric, min(d.system) AS system
    FROM firm.metric_definitions AS d
    JOIN control.standard_metrics AS s ON d.metric = s.metric AND d.instrument = s.instrument AND d.value_type = s.value_type
    WHERE d.system <> getvariable('system')
    GROUP BY d.metric
)
SELECT
    d.*,
    s.unit AS standard_unit,
    CASE
        WHEN d.instrument <> s.instrument OR d.value_type <> s.value_type
        THEN concat_ws(' ', d.instrument, d.value_type) || '; ' || a.system || ' states ' || s.instrument || ' ' || s.value_type
    END AS type_conflict
FROM dataset AS d
LEFT JOIN control.standard_metrics AS s ON d.metric = s.metric
LEFT JOIN as_the_standard AS a ON d.metric = a.metric
