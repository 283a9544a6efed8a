/* ---
kind: conform
dataset: integration_metrics
version: 1.0.0
owner: data-engineering@example.com
description: Lines of metadata.csv as delivered.
--- */
SELECT
    snapshot,
    repo,
    integration_dir,
    file,
    line,
    metric_name AS source_metric,
    metric_type,
    "interval" AS interval_s,
    unit_name,
    per_unit_name,
    description,
    orientation,
    integration,
    short_name,
    curated_metric,
    sample_tags,
    _batch_id,
    _record_no
FROM source
