-- Conformed metric instances to the standard dataset: identity, metric mapping, and the profile in the standard's unit.
-- `resolution` holds one row per source metric and unit; to = from * factor + shift, null where not convertible.
SELECT
    $day::DATE AS day,
    $system AS system,
    substr(md5(concat_ws(chr(31), $system, c.source_metric, c.ci_id, a.canonical)), 1, 16) AS instance_id,
    c.source_metric,
    r.metric,
    c.ci_id,
    a.canonical AS attributes,
    c.source_unit,
    r.unit,
    r.unit_status,
    c.* EXCLUDE (source_metric, ci_id, attributes, source_unit, _batch_id, _record_no),
    c.sample_min * r.factor + r.shift AS value_min,
    c.sample_max * r.factor + r.shift AS value_max,
    c.sample_mean * r.factor + r.shift AS value_mean,
    c._batch_id,
    c._record_no
FROM conformed AS c
JOIN resolution AS r
    ON c.source_metric = r.source_metric
    AND c.source_unit IS NOT DISTINCT FROM r.source_unit
JOIN canonical_attributes AS a
    ON c.attributes = a.attributes
