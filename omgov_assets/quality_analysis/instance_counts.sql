-- Denominators: distinct metric instances by the dimensions that say something about instances, and by business system. Few
-- passes over the inventory, and no join at its grain: it is counted by system and CI first, and the CIs then bring their
-- dimensions. A system that delivered no inventory counts with its last one, but as instances that were not judged.
WITH listed AS (
    SELECT system, metric, ci_id, collector, instance_id FROM instances
    UNION ALL
    SELECT system, metric, ci_id, collector, instance_id FROM last_known_instances
),
repeated AS (
    SELECT instance_id FROM listed GROUP BY instance_id HAVING count(*) > 1
),
counted AS (
    SELECT
        system,
        metric,
        ci_id,
        collector,
        CASE WHEN GROUPING(metric) = 0 THEN 'metric' WHEN GROUPING(ci_id) = 0 THEN 'ci_id' ELSE 'collector' END AS counted_by,
        count(*) AS instances
    FROM listed
    GROUP BY GROUPING SETS ((system, metric), (system, ci_id), (system, collector))
    UNION ALL
    -- An instance that the system lists several times counts once in each cell.
    SELECT
        system,
        metric,
        ci_id,
        collector,
        CASE WHEN GROUPING(metric) = 0 THEN 'metric' WHEN GROUPING(ci_id) = 0 THEN 'ci_id' ELSE 'collector' END AS counted_by,
        count(DISTINCT instance_id) - count(*) AS instances
    FROM listed
    SEMI JOIN repeated USING (instance_id)
    GROUP BY GROUPING SETS ((system, metric), (system, ci_id), (system, collector))
),
by_ci AS (
    SELECT ci_dimensions.* EXCLUDE (ci_id, ci_class, tier), counted.system, counted.instances
    FROM counted
    LEFT JOIN ci_dimensions USING (ci_id)
    WHERE counted_by = 'ci_id'
),
cells AS (
    SELECT
        coalesce(nullif(concat_ws('+',
            CASE WHEN GROUPING(host_id) = 0 THEN 'host_id' END,
            CASE WHEN GROUPING(site_id) = 0 THEN 'site_id' END,
            CASE WHEN GROUPING(support_group_id) = 0 THEN 'support_group_id' END,
            CASE WHEN GROUPING(owner_id) = 0 THEN 'owner_id' END
        ), ''), 'all') AS instance_set,
        system AS counted_system, NULL AS metric, NULL AS application_id, host_id, NULL AS network_device_id, site_id,
        support_group_id, owner_id, NULL AS collector, sum(instances)::BIGINT AS instances
    FROM by_ci
    GROUP BY GROUPING SETS (
        (system), (system, host_id), (system, site_id), (system, support_group_id), (system, owner_id)
    )
    UNION ALL BY NAME
    SELECT 'metric' AS instance_set, system AS counted_system, metric, sum(instances)::BIGINT AS instances
    FROM counted WHERE counted_by = 'metric' GROUP BY system, metric
    UNION ALL BY NAME
    SELECT 'collector' AS instance_set, system AS counted_system, collector, sum(instances)::BIGINT AS instances
    FROM counted WHERE counted_by = 'collector' GROUP BY system, collector
    UNION ALL BY NAME
    SELECT 'application_id' AS instance_set, counted_system, application_id, sum(instances)::BIGINT AS instances
    FROM (
        SELECT
            system AS counted_system,
            unnest(CASE WHEN len(application_ids) > 0 THEN application_ids ELSE [NULL] END) AS application_id,
            instances
        FROM by_ci
    )
    GROUP BY counted_system, application_id
    UNION ALL BY NAME
    SELECT 'network_device_id' AS instance_set, counted_system, network_device_id, sum(instances)::BIGINT AS instances
    FROM (
        SELECT
            system AS counted_system,
            unnest(CASE WHEN len(network_device_ids) > 0 THEN network_device_ids ELSE [NULL] END) AS network_device_id,
            instances
        FROM by_ci
    )
    GROUP BY counted_system, network_device_id
),
judged AS (
    SELECT cells.*, today.system IS NOT NULL AS is_judged
    FROM cells
    LEFT JOIN (SELECT DISTINCT system FROM instances) AS today ON today.system = counted_system
)
SELECT NULL::VARCHAR AS system, * FROM judged
UNION ALL BY NAME
SELECT
    counted_system AS system,
    * REPLACE (CASE instance_set WHEN 'all' THEN 'system' ELSE 'system+support_group_id' END AS instance_set)
FROM judged
WHERE instance_set IN ('all', 'support_group_id')
