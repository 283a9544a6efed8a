-- Anomalies of each key of a dimension by the values of other dimensions, the first of each.
SELECT of_values.key, dimension, value, coalesce(labels.label, value) AS label, anomalies, values_in_all
FROM (
    SELECT key, dimension, value, count(*) AS anomalies,
        count(*) OVER (PARTITION BY key, dimension) AS values_in_all,
        row_number() OVER (PARTITION BY key, dimension ORDER BY count(*) DESC, value) AS rank
    FROM (
        SELECT key, unnest([
            {dimension: 'system', value: system},
            {dimension: 'support_group', value: support_group_id},
            {dimension: 'owner', value: owner_id},
            {dimension: 'site', value: site_id},
            {dimension: 'host', value: host_id},
            {dimension: 'metric', value: metric},
            {dimension: 'collector', value: collector}
        ], recursive := true)
        FROM of_key
        UNION ALL
        SELECT key, 'application' AS dimension, unnest(application_ids) AS value FROM of_key
        UNION ALL
        SELECT key, 'network_device' AS dimension, unnest(network_device_ids) AS value FROM of_key
    )
    WHERE value IS NOT NULL AND list_contains($dimensions, dimension)
    GROUP BY key, dimension, value
) AS of_values
LEFT JOIN labels ON labels.kind = dimension AND labels.key = value
WHERE rank <= $top
ORDER BY of_values.key, dimension, rank
