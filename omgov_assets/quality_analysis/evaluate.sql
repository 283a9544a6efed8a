-- Found against planted anomalies of a day, compared by system, dataset, anomaly type and subject.
WITH found AS (
    SELECT DISTINCT anomaly_type, system, dataset, subject_key FROM anomalies
),
planted AS (
    SELECT DISTINCT anomaly_type, system, dataset, subject_key FROM truth WHERE day::DATE = $day::DATE
),
counted AS (
    SELECT
        anomaly_type,
        count(*) FILTER (is_planted) AS planted,
        count(*) FILTER (is_found) AS found,
        count(*) FILTER (is_planted AND is_found) AS hits
    FROM (
        SELECT anomaly_type, bool_or(planted) AS is_planted, bool_or(found) AS is_found
        FROM (
            SELECT *, false AS planted, true AS found FROM found
            UNION ALL BY NAME
            SELECT *, true AS planted, false AS found FROM planted
        )
        GROUP BY anomaly_type, system, dataset, subject_key
    )
    GROUP BY anomaly_type
)
SELECT
    anomaly_type,
    planted,
    found,
    -- Nothing found is no precision, nothing planted no recall.
    coalesce(hits / nullif(found, 0), 0.0) AS precision,
    coalesce(hits / nullif(planted, 0), 0.0) AS recall,
    2 * hits / (planted + found) AS f1
FROM counted
ORDER BY anomaly_type
