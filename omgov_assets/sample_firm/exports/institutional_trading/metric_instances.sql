-- Metric instances as institutional_trading exports them: tags, epoch nanoseconds.
SELECT
    source_metric AS metric,
    ci_id AS ci,
    attributes::JSON AS tags,
    source_unit AS unit,
    interval_s AS "periodSeconds",
    collector AS "source",
    first_s * 1000000000 AS "firstSeenNs",
    last_s * 1000000000 AS "lastSeenNs",
    sample_count AS "samples",
    sample_min AS "lowest",
    sample_max AS "highest",
    sample_mean AS "average",
    sample_distinct AS "distinctValues"
FROM records
