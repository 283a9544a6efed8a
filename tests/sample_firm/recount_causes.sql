-- Of each listed cause (cause_id, instances, support, rate, lift, anomalies, astray), from the deliveries of the day.
WITH instances AS MATERIALIZED (
    SELECT DISTINCT
        i.system, i.ci_id, i.collector, coalesce(r.metric, i.source_metric) AS metric,
        substr(md5(i.system || chr(31) || i.source_metric || chr(31) || i.ci_id || chr(31) || i.attributes), 1, 16) AS instance_id
    FROM all_instances AS i
    LEFT JOIN resolved AS r ON r.system = i.system AND r.source_metric = i.source_metric AND r.source_unit IS NOT DISTINCT FROM i.source_unit
    WHERE NOT i.unusable
),
items AS (
    -- What is entered twice counts as entered first.
    FROM configuration_items QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY record_no) = 1
),
relations AS (
    SELECT DISTINCT s.ci_class AS source_class, r.source_ci_id, r.relation, r.target_ci_id, t.ci_class AS target_class
    FROM ci_relations AS r JOIN items AS s ON s.ci_id = r.source_ci_id JOIN items AS t ON t.ci_id = r.target_ci_id
),
host_of AS (
    SELECT ci_id, ci_id AS host FROM items WHERE ci_class = 'host'
    UNION ALL
    SELECT source_ci_id, any_value(target_ci_id) FROM relations WHERE relation = 'runs_on' AND target_class = 'host'
    GROUP BY source_ci_id HAVING count(*) = 1
),
of_cis AS (
    SELECT ci_id, unnest(['rack', 'subnet', 'site', 'support_group', 'owner', 'agent_version']) AS attribute,
           unnest([rack, subnet, site_id, support_group_id, owner_id, agent_version]) AS "value"
    FROM items
    UNION ALL SELECT ci_id, 'application', ci_id FROM items WHERE ci_class = 'application'
    UNION ALL SELECT target_ci_id, 'application', source_ci_id FROM relations
    WHERE source_class = 'application' AND (relation = 'runs_on' AND target_class = 'host' OR relation = 'depends_on' AND target_class = 'database')
    UNION ALL SELECT ci_id, 'host', host FROM host_of
    UNION ALL SELECT ci_id, 'network_device', ci_id FROM items WHERE ci_class = 'network_device'
    UNION ALL SELECT h.ci_id, 'network_device', r.target_ci_id
    FROM host_of AS h JOIN items USING (ci_id) JOIN relations AS r ON r.source_ci_id = h.host AND r.relation = 'connected_to'
    WHERE items.ci_class IN ('host', 'database')
),
of_instances AS (
    SELECT instance_id, unnest(['system', 'metric', 'collector']) AS attribute, unnest([system, metric, collector]) AS "value" FROM instances
    UNION ALL SELECT instance_id, attribute, "value" FROM instances JOIN of_cis USING (ci_id)
),
conditions AS (
    SELECT cause_id, attribute, conditions ->> attribute AS "value", len(json_keys(conditions)) AS wanted
    FROM (SELECT cause_id, conditions::JSON AS conditions, unnest(json_keys(conditions::JSON)) AS attribute FROM causes)
),
cells AS MATERIALIZED (
    SELECT cause_id, instance_id FROM conditions JOIN of_instances USING (attribute, "value")
    GROUP BY cause_id, instance_id HAVING count(DISTINCT attribute) = any_value(wanted)
),
types AS (SELECT DISTINCT cause_id, anomaly_type FROM members WHERE cause_id IS NOT NULL),
anomalous AS (
    SELECT DISTINCT t.cause_id, a.subject_key AS instance_id
    FROM types AS t JOIN anomalies AS a USING (anomaly_type)
    WHERE a.dataset = 'metric_instances' AND a.subject_key IN (SELECT instance_id FROM instances)
),
counted AS (
    SELECT cause_id,
        (SELECT count(*) FROM cells AS c WHERE c.cause_id = causes.cause_id) AS inside,
        (SELECT count(*) FROM instances) AS total,
        (SELECT count(*) FROM cells AS c JOIN anomalous AS a USING (cause_id, instance_id) WHERE c.cause_id = causes.cause_id) AS hits,
        (SELECT count(*) FROM anomalous AS a WHERE a.cause_id = causes.cause_id) AS overall,
        (SELECT count(*) FROM members AS m WHERE m.cause_id = causes.cause_id) AS anomalies,
        (SELECT count(*) FROM members AS m WHERE m.cause_id = causes.cause_id AND m.subject_key IN (SELECT instance_id FROM instances)
            AND NOT EXISTS (FROM cells AS c WHERE c.cause_id = m.cause_id AND c.instance_id = m.subject_key)) AS astray
    FROM causes
)
SELECT cause_id, inside, inside / total, hits / inside,
    if(overall > hits, (hits / inside) / ((overall - hits) / (total - inside)), NULL), anomalies, astray
FROM counted
