-- Where most was put right since the day before, net of what came anew: what was only not judged counts for nothing.
SELECT
    dimension,
    better.key,
    coalesce(labels.label, better.key) AS label,
    resolved_anomalies,
    new_anomalies,
    anomalies
FROM (
    SELECT
        CASE dimension_set
            WHEN 'application_id' THEN 'application'
            WHEN 'support_group_id' THEN 'support_group'
            WHEN 'owner_id' THEN 'owner'
            ELSE dimension_set
        END AS dimension,
        coalesce(anomaly_type, system, application_id, support_group_id, owner_id) AS key,
        *
    FROM statistics
    WHERE dimension_set IN ('anomaly_type', 'system', 'application_id', 'support_group_id', 'owner_id')
) AS better
LEFT JOIN labels ON labels.kind = dimension AND labels.key = better.key
WHERE better.key IS NOT NULL AND resolved_anomalies > new_anomalies
QUALIFY row_number() OVER (PARTITION BY dimension ORDER BY resolved_anomalies - new_anomalies DESC, better.key) <= $top
ORDER BY dimension, resolved_anomalies - new_anomalies DESC, better.key
