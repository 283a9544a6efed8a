/* ---
kind: conform
dataset: ci_relations
version: 1.0.0
owner: data-engineering@example.com
description: A service pool (cluster/service) runs on each of its hosts.
--- */
SELECT
    cluster || '/' || service AS source_ci_id,
    'runs_on' AS relation,
    split_part(host, '.', 1) AS target_ci_id,
    _batch_id,
    _record_no
FROM source
