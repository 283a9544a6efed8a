/* ---
kind: conform
dataset: metric_definitions
version: 1.0.0
owner: data-engineering@example.com
description: Minutes and seconds to the standard interval.
quarantine_without: [status]
--- */
SELECT
    METRIC_NAME AS source_metric,
    METRIC_TITLE AS display_name,
    METRIC_DESC AS description,
    UNIT AS source_unit,
    KIND AS instrument,
    DATA_TYPE AS value_type,
    INTERVAL_MIN * 60 + INTERVAL_SEC AS interval_s,
    MIN_VALID AS valid_min,
    MAX_VALID AS valid_max,
    CI_TYPE AS ci_class,
    CASE IN_USE WHEN 'Y' THEN 'active' WHEN 'N' THEN 'withdrawn' END AS status,
    _batch_id,
    _record_no
FROM source
