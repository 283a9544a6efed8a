/* ---
kind: conform
dataset: semantic_conventions
version: 1.0.0
owner: data-engineering@example.com
description: Metrics of the conventions with their history, as delivered.
--- */
SELECT
    name AS source_metric,
    instrument,
    unit,
    stability,
    deprecated AS deprecation,
    brief,
    attributes,
    entity,
    file,
    _batch_id,
    _record_no
FROM source
