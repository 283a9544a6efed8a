-- The single-dimension cells of the cube in order: what has the most anomalies first, equal counts in the order of the key.
WITH ranked AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY dimension ORDER BY anomalies DESC, key) AS rank,
        CASE
            WHEN rate_lower_bound IS NOT NULL
            THEN row_number() OVER (PARTITION BY dimension ORDER BY rate_lower_bound DESC NULLS LAST, anomalies DESC, key)
        END AS rank_by_rate,
        row_number() OVER (PARTITION BY dimension ORDER BY severity_score DESC NULLS LAST, anomalies DESC, key)
            AS rank_by_score,
        row_number() OVER (PARTITION BY dimension ORDER BY business_impact DESC NULLS LAST, anomalies DESC, key)
            AS rank_by_impact
    FROM (
        SELECT
            CASE dimension_set
                WHEN 'application_id' THEN 'application'
                WHEN 'host_id' THEN 'host'
                WHEN 'network_device_id' THEN 'network_device'
                WHEN 'site_id' THEN 'site'
                WHEN 'support_group_id' THEN 'support_group'
                WHEN 'owner_id' THEN 'owner'
                ELSE dimension_set
            END AS dimension,
            -- Of the cell's dimensions only its own is not null.
            coalesce(
                anomaly_type, severity, system, metric, application_id, host_id, network_device_id, site_id,
                support_group_id, owner_id, collector
            ) AS key,
            anomalies,
            anomalous_instances,
            instances,
            rate,
            rate_lower_bound,
            severity_score,
            business_impact,
            new_anomalies,
            resolved_anomalies,
            not_evaluated_share,
            policy_hash,
            data_versions
        FROM statistics
        WHERE dimension_set NOT IN ('all', 'quality_dimension') AND NOT contains(dimension_set, '+')
    )
    WHERE key IS NOT NULL AND anomalies > 0
),
compared AS (
    SELECT
        ranked.*,
        -- A key without anomalies yesterday had none; without a yesterday nothing is known.
        CASE WHEN $has_previous_day THEN coalesce(previous.anomalies, 0) END AS previous_anomalies,
        previous.rank AS previous_rank
    FROM ranked
    LEFT JOIN previous_rankings AS previous USING (dimension, key)
)
SELECT
    $day::DATE AS day,
    compared.*,
    coalesce(labels.label, compared.key) AS label,
    anomalies - previous_anomalies AS change,
    CASE
        WHEN $has_previous_day
        THEN row_number() OVER (PARTITION BY dimension ORDER BY anomalies - previous_anomalies DESC, anomalies DESC, compared.key)
    END AS rank_by_change
FROM compared
-- Owners' names are personal data and stay in the CMDB.
LEFT JOIN labels
    ON labels.kind = compared.dimension AND labels.key = compared.key AND compared.dimension <> 'owner'
