-- Points in the standard's unit, or the reason why they are left out.
SELECT
    p.system,
    p.instance_id,
    p.metric,
    p.ci_id,
    p.attributes,
    p.observed_at,
    p.value * c.factor + c.shift AS value,
    CASE
        WHEN p.observed_at < $day_start OR p.observed_at >= $day_end THEN 'outside_day'
        WHEN NOT p.in_inventory THEN 'not_in_inventory'
        WHEN c.factor IS NULL THEN 'unit_' || CASE p.unit_status WHEN 'ok' THEN 'incompatible' ELSE p.unit_status END
    END AS left_out
FROM staging.points AS p
LEFT JOIN staging.conversions AS c
    ON c.metric = p.metric
    AND c.unit IS NOT DISTINCT FROM p.unit
    AND c.unit_status = p.unit_status
