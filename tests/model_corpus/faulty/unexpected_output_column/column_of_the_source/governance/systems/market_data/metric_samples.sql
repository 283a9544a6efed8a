/* ---
kind: conform
dataset: metric_samples
version: 1.3.0
owner: chen.min@example.com
description: Epoch nanoseconds to the standard; a point sent again within a file counts as the one that came last.
--- */
SELECT
    metric AS source_metric,
    ci AS ci_id,
    labels AS attributes,
    to_timestamp(time_ns / 1000000000) AS observed_at,
    if(list_contains(string_split(coalesce(flags, ''), ','), 'stale'), NULL, "value") AS "value",
    flags,
    _batch_id,
    _record_no
FROM source
QUALIFY row_number() OVER (PARTITION BY metric, ci, labels, time_ns ORDER BY _record_no DESC) = 1
