-- Denominators: distinct metric instances by the dimensions that say something about instances. Few passes over the
-- inventory, and no join at its grain: it is counted by system and CI first, and the CIs then bring their dimensions.
WITH repeated AS (
    SELECT instance_id FROM instances GROUP BY instance_id HAVING count(*) > 1
),
counted AS (
    SELECT
        system,
        metric,
        ci_id,
        collector,
        CASE WHEN GROUPING(metric) = 0 THEN 'metric' WHEN GROUPING(ci_id) = 0 THEN 'ci_id' ELSE 'collector' END AS counted_by,
        count(*) AS instances
    FROM instances
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
    FROM instances
    SEMI JOIN repeated USING (instance_id)
    GROUP BY GROUPING SETS ((system, metric), (system, ci_id), (system, collector))
),
by_ci AS (
    SELECT ci_dimensions.* EXCLUDE (ci_id, ci_class), counted.system, counted.instances
    FROM counted
    LEFT JOIN ci_dimensions USING (ci_id)
    WHERE counted_by = 'ci_id'
)
SELECT
    coalesce(nullif(concat_ws('+',
        CASE WHEN GROUPING(system) = 0 THEN 'system' END,
        CASE WHEN GROUPING(host_id) = 0 THEN 'host_id' END,
        CASE WHEN GROUPING(network_device_id) = 0 THEN 'network_device_id' END,
        CASE WHEN GROUPING(site_id) = 0 THEN 'site_id' END,
        CASE WHEN GROUPING(support_group_id) = 0 THEN 'support_group_id' END,
        CASE WHEN GROUPING(owner_id) = 0 THEN 'owner_id' END
    ), ''), 'all') AS instance_set,
    system, NULL AS metric, NULL AS application_id, host_id, network_device_id, site_id, support_group_id, owner_id,
    NULL AS collector, coalesce(sum(instances), 0)::BIGINT AS instances
FROM by_ci
GROUP BY GROUPING SETS (
    (), (system), (host_id), (network_device_id), (site_id), (support_group_id), (owner_id), (system, support_group_id)
)
UNION ALL BY NAME
SELECT 'metric' AS instance_set, metric, sum(instances)::BIGINT AS instances
FROM counted WHERE counted_by = 'metric' GROUP BY metric
UNION ALL BY NAME
SELECT 'collector' AS instance_set, collector, sum(instances)::BIGINT AS instances
FROM counted WHERE counted_by = 'collector' GROUP BY collector
UNION ALL BY NAME
SELECT 'application_id' AS instance_set, application_id, sum(instances)::BIGINT AS instances
FROM (
    SELECT unnest(CASE WHEN len(application_ids) > 0 THEN application_ids ELSE [NULL] END) AS application_id, instances
    FROM by_ci
)
GROUP BY application_id
