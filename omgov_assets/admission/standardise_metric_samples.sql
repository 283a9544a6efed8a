-- Conformed metric samples to the standard dataset: identity of the series and its standard metric.
SELECT
    $day::DATE AS day,
    $system AS system,
    substr(md5(concat_ws(chr(31), $system, c.source_metric, c.ci_id, a.canonical)), 1, 16) AS instance_id,
    r.metric,
    a.canonical AS attributes,
    c.* EXCLUDE (attributes, _batch_id, _record_no),
    c._batch_id,
    c._record_no
FROM conformed AS c
JOIN resolution AS r ON c.source_metric = r.source_metric
JOIN canonical_attributes AS a ON c.attributes = a.attributes
