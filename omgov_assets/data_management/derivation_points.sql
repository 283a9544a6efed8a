-- Each delivered point once, with the unit of its series; of what is listed or sent several times, the first record counts.
WITH series AS (
    SELECT system, instance_id, unit, unit_status
    FROM staging.inventory
    SEMI JOIN staging.samples USING (system, instance_id)
    QUALIFY row_number() OVER (PARTITION BY system, instance_id ORDER BY _batch_id, _record_no) = 1
),
points AS (
    SELECT *
    FROM staging.samples
    QUALIFY row_number() OVER (PARTITION BY system, instance_id, observed_at ORDER BY _batch_id, _record_no) = 1
)
SELECT
    points.* EXCLUDE (_batch_id, _record_no),
    series.unit,
    series.unit_status,
    series.instance_id IS NOT NULL AS in_inventory
FROM points
LEFT JOIN series USING (system, instance_id)
