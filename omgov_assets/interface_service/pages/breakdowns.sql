-- The chosen anomalies by the first values of other dimensions, each with a name for people.
WITH counted AS (
    SELECT 'system' AS dimension, system AS value, count(*) AS anomalies FROM of_key GROUP BY ALL
    UNION ALL
    SELECT 'support_group', support_group_id, count(*) FROM of_key GROUP BY ALL
    UNION ALL
    SELECT 'owner', owner_id, count(*) FROM of_key GROUP BY ALL
    UNION ALL
    SELECT 'site', site_id, count(*) FROM of_key GROUP BY ALL
    UNION ALL
    SELECT 'metric', metric, count(*) FROM of_key GROUP BY ALL
    UNION ALL
    SELECT 'application', application_id, count(*)
    FROM (SELECT unnest(application_ids) AS application_id FROM of_key)
    GROUP BY ALL
),
ranked AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY dimension) AS values_in_all,
        row_number() OVER (PARTITION BY dimension ORDER BY anomalies DESC, value) AS rank
    FROM counted
    WHERE value IS NOT NULL AND list_contains($dimensions, dimension)
)
SELECT dimension, value, coalesce(label, value) AS label, anomalies, values_in_all
FROM ranked
LEFT JOIN labels ON kind = dimension AND key = value
WHERE rank <= $top
ORDER BY list_position($dimensions, dimension), rank
