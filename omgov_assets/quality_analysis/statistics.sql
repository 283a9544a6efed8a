-- The cube: anomalies of the day and those gone since the day before, counted for each dimension set.
WITH not_evaluated AS (
    SELECT system, dataset, policy_id FROM check_results WHERE verdict IN ('not_evaluated', 'error')
),
gone AS (
    SELECT
        p.*,
        dataset = 'metric_instances' AND subject_kind = 'row' AND ci_id IS NOT NULL AS is_instance
    FROM previous_anomalies AS p
    ANTI JOIN anomalies AS a ON a.anomaly_id = p.anomaly_id
    -- What was not judged today is not resolved.
    ANTI JOIN not_evaluated AS n
        ON n.system = p.system AND n.dataset = p.dataset AND list_contains(p.policy_ids, n.policy_id)
),
withdrawn AS (
    -- Nor is an instance that left the inventory. Those still there are found by one probe of the inventory.
    SELECT system, subject_key
    FROM gone
    ANTI JOIN (
        SELECT system, instance_id
        FROM instances
        SEMI JOIN gone ON gone.system = instances.system AND gone.subject_key = instances.instance_id
    ) AS kept ON kept.system = gone.system AND kept.instance_id = gone.subject_key
    WHERE is_instance
),
resolved AS (
    SELECT * EXCLUDE (is_instance)
    FROM gone
    ANTI JOIN withdrawn USING (system, subject_key)
),
facts AS (
    SELECT
        true AS is_present,
        first_seen_day = day AS is_new,
        -- Refused records are rows of the dataset, too, but no instances of the inventory: they have no CI.
        dataset = 'metric_instances' AND subject_kind = 'row' AND ci_id IS NOT NULL AS is_instance,
        *
    FROM anomalies
    UNION ALL BY NAME
    SELECT false AS is_present, false AS is_new, false AS is_instance, * FROM resolved
),
numbered AS (
    SELECT
        is_present, is_new, anomaly_type, quality_dimension, severity, system, metric, application_ids, host_id,
        network_device_id, site_id, support_group_id, owner_id, collector,
        -- Numbers are cheaper to tell apart than keys, and every cell does so.
        CASE WHEN is_instance THEN dense_rank() OVER (ORDER BY system, subject_key) END AS instance_no
    FROM facts
),
cells AS (
    SELECT
        anomaly_type, quality_dimension, severity, system, metric, NULL AS application_id, host_id, network_device_id,
        site_id, support_group_id, owner_id, collector,
        concat_ws('+',
            CASE WHEN GROUPING(anomaly_type) = 0 THEN 'anomaly_type' END,
            CASE WHEN GROUPING(quality_dimension) = 0 THEN 'quality_dimension' END,
            CASE WHEN GROUPING(severity) = 0 THEN 'severity' END,
            CASE WHEN GROUPING(system) = 0 THEN 'system' END,
            CASE WHEN GROUPING(metric) = 0 THEN 'metric' END,
            CASE WHEN GROUPING(host_id) = 0 THEN 'host_id' END,
            CASE WHEN GROUPING(network_device_id) = 0 THEN 'network_device_id' END,
            CASE WHEN GROUPING(site_id) = 0 THEN 'site_id' END,
            CASE WHEN GROUPING(support_group_id) = 0 THEN 'support_group_id' END,
            CASE WHEN GROUPING(owner_id) = 0 THEN 'owner_id' END,
            CASE WHEN GROUPING(collector) = 0 THEN 'collector' END
        ) AS dimension_names,
        count(*) FILTER (is_present) AS anomalies,
        count(DISTINCT instance_no) AS anomalous_instances,
        count(*) FILTER (is_new) AS new_anomalies,
        count(*) FILTER (NOT is_present) AS resolved_anomalies
    FROM numbered
    GROUP BY GROUPING SETS (
        (),
        (anomaly_type), (quality_dimension), (severity), (system), (metric), (host_id), (network_device_id), (site_id),
        (support_group_id), (owner_id), (collector),
        (anomaly_type, system), (anomaly_type, support_group_id), (anomaly_type, metric), (anomaly_type, owner_id),
        (system, support_group_id), (quality_dimension, system)
    )
    UNION ALL BY NAME
    -- An anomaly counts once for each application that hangs on its CI.
    SELECT
        anomaly_type,
        application_id,
        CASE WHEN GROUPING(anomaly_type) = 0 THEN 'anomaly_type+application_id' ELSE 'application_id' END AS dimension_names,
        count(*) FILTER (is_present) AS anomalies,
        count(DISTINCT instance_no) AS anomalous_instances,
        count(*) FILTER (is_new) AS new_anomalies,
        count(*) FILTER (NOT is_present) AS resolved_anomalies
    FROM (
        SELECT
            * EXCLUDE (application_ids),
            unnest(CASE WHEN len(application_ids) > 0 THEN application_ids ELSE [NULL] END) AS application_id
        FROM numbered
    )
    GROUP BY GROUPING SETS ((application_id), (anomaly_type, application_id))
),
named AS (
    SELECT
        coalesce(nullif(dimension_names, ''), 'all') AS dimension_set,
        -- Verdicts say nothing about which instances there are: without them is how the denominator's cell is named.
        coalesce(nullif(array_to_string(list_filter(
            string_split(dimension_names, '+'),
            lambda name: name NOT IN ('', 'anomaly_type', 'quality_dimension', 'severity')
        ), '+'), ''), 'all') AS instance_set,
        * EXCLUDE (dimension_names)
    FROM cells
)
SELECT
    $day::DATE AS day,
    n.* EXCLUDE (instance_set, anomalies, anomalous_instances, new_anomalies, resolved_anomalies),
    n.anomalies,
    n.anomalous_instances,
    coalesce(c.instances, 0) AS instances,
    n.anomalous_instances / nullif(c.instances, 0) AS rate,
    n.new_anomalies,
    n.resolved_anomalies,
    $policy_hash::VARCHAR AS policy_hash,
    $data_versions::VARCHAR AS data_versions
FROM named AS n
LEFT JOIN instance_counts AS c
    ON c.instance_set = n.instance_set
    AND c.system IS NOT DISTINCT FROM n.system
    AND c.metric IS NOT DISTINCT FROM n.metric
    AND c.application_id IS NOT DISTINCT FROM n.application_id
    AND c.host_id IS NOT DISTINCT FROM n.host_id
    AND c.network_device_id IS NOT DISTINCT FROM n.network_device_id
    AND c.site_id IS NOT DISTINCT FROM n.site_id
    AND c.support_group_id IS NOT DISTINCT FROM n.support_group_id
    AND c.owner_id IS NOT DISTINCT FROM n.owner_id
    AND c.collector IS NOT DISTINCT FROM n.collector
