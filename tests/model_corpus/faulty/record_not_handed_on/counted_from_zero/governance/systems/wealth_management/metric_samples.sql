/* ---
kind: conform
dataset: metric_samples
version: 1.1.0
owner: wealth-operations@example.com
description: Tags as JSON text, epoch seconds and numbers as text to the standard.
--- */
SELECT METRIC_NAME AS source_metric
     , CI_NO AS ci_id
     , CASE
           WHEN json_valid(TAGS)
           THEN CAST(CAST(TAGS AS JSON) AS MAP(VARCHAR, VARCHAR))
           ELSE MAP {}::MAP(VARCHAR, VARCHAR)
       END AS attributes
     , to_timestamp(SAMPLE_TIME) AS observed_at
     , TRY_CAST(replace(SAMPLE_VAL, ',', '') AS DOUBLE) AS "value"   -- n/a is no value
     , _batch_id
     , _record_no - 1 AS _record_no
  FROM source
