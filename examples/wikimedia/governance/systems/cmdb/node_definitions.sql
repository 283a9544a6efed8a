/* ---
kind: conform
dataset: node_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Node definitions as delivered.
--- */
SELECT
    node_selector,
    roles,
    expanded_hosts,
    comment,
    _batch_id,
    _record_no
FROM source
