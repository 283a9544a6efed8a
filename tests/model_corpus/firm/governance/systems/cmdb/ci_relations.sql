/* ---
kind: conform
dataset: ci_relations
version: 1.0.0
owner: data-engineering@example.com
description: The CMDB speaks the standard; only the day of the snapshot is left out.
--- */
SELECT
    source_ci_id,
    relation,
    target_ci_id,
    _batch_id,
    _record_no
FROM source
