/* ---
kind: conform
dataset: metric_samples
version: 1.0.0
owner: data-engineering@example.com
description: Tags as JSON text and epoch seconds to the standard.
quarantine_without: [attributes]
--- */
SELECT
    METRIC_NAME AS source_metric,
    CI_NO AS ci_id,
    TRY_CAST(TRY_CAST(TAGS AS JSON) AS MAP(VARCHAR, VARCHAR)) AS attributes,
    make_timestamptz(SAMPLE_TIME * 1000000) AS observed_at,
    SAMPLE_VAL AS "value",
    _batch_id,
    _record_no
FROM source
