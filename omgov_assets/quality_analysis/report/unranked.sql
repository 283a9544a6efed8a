-- Anomalies that belong to no key of a dimension: the cell of the cube whose dimension is null.
SELECT dimension_set, anomalies
FROM statistics
WHERE dimension_set <> 'all'
    AND coalesce(
        anomaly_type, quality_dimension, severity, system, metric, application_id, host_id, network_device_id, site_id,
        support_group_id, owner_id, collector
    ) IS NULL
ORDER BY dimension_set
