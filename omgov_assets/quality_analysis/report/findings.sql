-- The largest findings: anomaly type in a dataset, since when, and which single place or group has the most of it.
WITH grouped AS (
    SELECT
        anomaly_type,
        system,
        dataset,
        any_value(quality_dimension ORDER BY quality_dimension) AS quality_dimension,
        count(*) AS anomalies,
        count(*) FILTER (first_seen_day = day) AS new_anomalies,
        min(first_seen_day) AS since,
        min(list_position(['critical', 'warning', 'info'], severity)) AS severity_rank
    FROM anomalies
    GROUP BY anomaly_type, system, dataset
),
findings AS (
    -- What is critical comes first, but does not hide what there is most of.
    SELECT *
    FROM grouped
    QUALIFY row_number() OVER (
        PARTITION BY severity_rank = 1 ORDER BY severity_rank, anomalies DESC, anomaly_type, system, dataset
    ) <= CASE WHEN severity_rank = 1 THEN $critical::BIGINT ELSE $others::BIGINT END
),
counted AS (
    SELECT anomaly_type, system, dataset, dimension, key, count(*) AS anomalies
    FROM (
        SELECT
            anomaly_type,
            system,
            dataset,
            unnest([
                {dimension: 'collector', key: collector},
                {dimension: 'site', key: site_id},
                {dimension: 'metric', key: metric},
                {dimension: 'support_group', key: support_group_id},
                {dimension: 'owner', key: owner_id}
            ], recursive := true)
        FROM anomalies
        SEMI JOIN findings USING (anomaly_type, system, dataset)
        UNION ALL
        SELECT anomaly_type, system, dataset, 'network_device' AS dimension, unnest(network_device_ids) AS key
        FROM anomalies
        SEMI JOIN findings USING (anomaly_type, system, dataset)
    )
    WHERE key IS NOT NULL
    GROUP BY ALL
),
foremost AS (
    SELECT anomaly_type, system, dataset, dimension, key, anomalies, count(*) OVER of_dimension AS keys
    FROM counted
    WINDOW of_dimension AS (PARTITION BY anomaly_type, system, dataset, dimension)
    QUALIFY row_number() OVER (PARTITION BY anomaly_type, system, dataset, dimension ORDER BY anomalies DESC, key) = 1
),
concentrated AS (
    SELECT
        anomaly_type,
        system,
        dataset,
        list({
            dimension: dimension,
            key: foremost.key,
            label: coalesce(label, foremost.key),
            anomalies: foremost.anomalies,
            keys: keys
        } ORDER BY dimension) AS concentrations
    FROM foremost
    LEFT JOIN (SELECT dimension, key, label FROM rankings) AS labels USING (dimension, key)
    GROUP BY anomaly_type, system, dataset
)
SELECT
    findings.* EXCLUDE (severity_rank),
    ['critical', 'warning', 'info'][severity_rank] AS severity,
    concentrations
FROM findings
LEFT JOIN concentrated USING (anomaly_type, system, dataset)
ORDER BY severity_rank, anomalies DESC, anomaly_type, system, dataset
