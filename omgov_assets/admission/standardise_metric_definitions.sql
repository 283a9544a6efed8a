-- Conformed metric definitions to the standard dataset: metric mapping and UCUM unit by `resolution`.
SELECT
    $day::DATE AS day,
    $system AS system,
    c.* EXCLUDE (_batch_id, _record_no),
    r.metric,
    r.unit,
    r.unit_status,
    c._batch_id,
    c._record_no
FROM conformed AS c
JOIN resolution AS r
    ON c.source_metric = r.source_metric
    AND c.source_unit IS NOT DISTINCT FROM r.source_unit
