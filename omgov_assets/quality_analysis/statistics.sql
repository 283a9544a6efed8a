-- The cube: anomalies of the day and what became of those of the day before, counted for each dimension set.
WITH facts AS (
    SELECT
        'present' AS outcome,
        first_seen_day = day AS is_new,
        -- Refused records are rows of the dataset, too, but no instances of the inventory: they have no CI.
        dataset = 'metric_instances' AND subject_kind = 'row' AND ci_id IS NOT NULL AS is_instance,
        *
    FROM anomalies
    UNION ALL BY NAME
    SELECT false AS is_new, false AS is_instance, * FROM outcomes
),
numbered AS (
    SELECT
        outcome, is_new, anomaly_type, quality_dimension, facts.severity, system, metric, application_ids, host_id,
        network_device_ids, site_id, support_group_id, owner_id, collector, first_seen_day,
        CASE WHEN outcome = 'present' THEN datediff('day', first_seen_day, $day::DATE) + 1 END AS open_days,
        CASE WHEN outcome = 'present' THEN severity_weights.weight END AS severity_weight,
        CASE
            WHEN outcome = 'present'
            THEN severity_weights.weight
                * coalesce(tier_weights.weight, 1::DECIMAL(9, 4))
                * CASE WHEN in_trading_session THEN $session_weight::DECIMAL(9, 4) ELSE 1::DECIMAL(9, 4) END
        END AS impact,
        -- Numbers are cheaper to tell apart than keys, and every cell does so.
        CASE WHEN is_instance THEN dense_rank() OVER (ORDER BY system, subject_key) END AS instance_no
    FROM facts
    LEFT JOIN severity_weights ON severity_weights.severity = facts.severity
    LEFT JOIN tier_weights ON tier_weights.tier = facts.tier
),
cells AS (
    SELECT
        anomaly_type, quality_dimension, severity, system, metric, NULL AS application_id, host_id, NULL AS network_device_id,
        site_id, support_group_id, owner_id, collector,
        concat_ws('+',
            CASE WHEN GROUPING(anomaly_type) = 0 THEN 'anomaly_type' END,
            CASE WHEN GROUPING(quality_dimension) = 0 THEN 'quality_dimension' END,
            CASE WHEN GROUPING(severity) = 0 THEN 'severity' END,
            CASE WHEN GROUPING(system) = 0 THEN 'system' END,
            CASE WHEN GROUPING(metric) = 0 THEN 'metric' END,
            CASE WHEN GROUPING(host_id) = 0 THEN 'host_id' END,
            CASE WHEN GROUPING(site_id) = 0 THEN 'site_id' END,
            CASE WHEN GROUPING(support_group_id) = 0 THEN 'support_group_id' END,
            CASE WHEN GROUPING(owner_id) = 0 THEN 'owner_id' END,
            CASE WHEN GROUPING(collector) = 0 THEN 'collector' END
        ) AS dimension_names,
        {measures}
    FROM numbered
    GROUP BY GROUPING SETS (
        (),
        (anomaly_type), (quality_dimension), (severity), (system), (metric), (host_id), (site_id), (support_group_id),
        (owner_id), (collector),
        (anomaly_type, system), (anomaly_type, site_id), (anomaly_type, support_group_id), (anomaly_type, metric),
        (anomaly_type, owner_id), (system, support_group_id), (quality_dimension, system), (severity, system)
    )
    UNION ALL BY NAME
    -- An anomaly counts once for each application that hangs on its CI,
    SELECT
        anomaly_type,
        application_id,
        CASE WHEN GROUPING(anomaly_type) = 0 THEN 'anomaly_type+application_id' ELSE 'application_id' END AS dimension_names,
        {measures}
    FROM (
        SELECT *, unnest(CASE WHEN len(application_ids) > 0 THEN application_ids ELSE [NULL] END) AS application_id
        FROM numbered
    )
    GROUP BY GROUPING SETS ((application_id), (anomaly_type, application_id))
    UNION ALL BY NAME
    -- and once for each network device that its host is connected to.
    SELECT
        anomaly_type,
        network_device_id,
        CASE WHEN GROUPING(anomaly_type) = 0 THEN 'anomaly_type+network_device_id' ELSE 'network_device_id' END
            AS dimension_names,
        {measures}
    FROM (
        SELECT *, unnest(CASE WHEN len(network_device_ids) > 0 THEN network_device_ids ELSE [NULL] END) AS network_device_id
        FROM numbered
    )
    GROUP BY GROUPING SETS ((network_device_id), (anomaly_type, network_device_id))
),
named AS (
    SELECT
        coalesce(nullif(dimension_names, ''), 'all') AS dimension_set,
        -- Verdicts say nothing about which instances there are: without them is how the denominator's cell is named.
        coalesce(nullif(array_to_string(list_filter(
            string_split(dimension_names, '+'),
            lambda name: name NOT IN ('', 'anomaly_type', 'quality_dimension', 'severity')
        ), '+'), ''), 'all') AS instance_set,
        coalesce(nullif(array_to_string(list_filter(
            string_split(dimension_names, '+'),
            lambda name: name IN ('anomaly_type', 'quality_dimension', 'severity')
        ), '+'), ''), 'all') AS policy_set,
        * EXCLUDE (dimension_names),
        row_number() OVER () AS cell_no
    FROM cells
),
policy_counts AS (
    SELECT
        CASE
            WHEN GROUPING(anomaly_type) = 0 THEN 'anomaly_type'
            WHEN GROUPING(quality_dimension) = 0 THEN 'quality_dimension'
            WHEN GROUPING(severity) = 0 THEN 'severity'
            ELSE 'all'
        END AS policy_set,
        system, anomaly_type, quality_dimension, severity,
        count(*) AS policies,
        count(*) FILTER (verdict IN ('not_evaluated', 'error')) AS unjudged
    FROM check_results
    WHERE dataset = 'metric_instances'
    GROUP BY GROUPING SETS (
        (system), (system, anomaly_type), (system, quality_dimension), (system, severity)
    )
),
denominators AS (
    SELECT
        n.cell_no,
        coalesce(sum(c.instances) FILTER (c.is_judged), 0)::BIGINT AS instances,
        sum(c.instances * p.unjudged) / nullif(sum(c.instances * p.policies), 0) AS not_evaluated_share
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
    LEFT JOIN policy_counts AS p
        ON p.policy_set = n.policy_set
        AND p.system = c.counted_system
        AND p.anomaly_type IS NOT DISTINCT FROM n.anomaly_type
        AND p.quality_dimension IS NOT DISTINCT FROM n.quality_dimension
        AND p.severity IS NOT DISTINCT FROM n.severity
    GROUP BY n.cell_no
)
SELECT
    $day::DATE AS day,
    named.* EXCLUDE (instance_set, policy_set, cell_no, open_days, anomalous_instances),
    anomalous_instances,
    instances,
    anomalous_instances / nullif(instances, 0) AS rate,
    wilson_lower_bound(anomalous_instances, instances) AS rate_lower_bound,
    open_days / nullif(anomalies, 0) AS mean_open_days,
    not_evaluated_share,
    $policy_hash::VARCHAR AS policy_hash,
    $data_versions::VARCHAR AS data_versions
FROM named
JOIN denominators USING (cell_no)
