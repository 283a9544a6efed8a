-- The model's rows with the identity of their series: the hash that the gate gives a delivered series, of system
-- `derived` and of the metric under its own name.
SELECT
    substr(md5(concat_ws(chr(31), $system, $metric, ci_id, canonical)), 1, 16) AS instance_id,
    * EXCLUDE (attributes, canonical),
    canonical AS attributes
FROM (
    SELECT *, to_json(map_from_entries(list_sort(map_entries(attributes))))::VARCHAR AS canonical
    FROM model_rows
)
