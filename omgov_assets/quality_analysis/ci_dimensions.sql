-- One row for each CI: the dimensions that whatever is found on this CI gets.
WITH items AS (
    -- A CI that the CMDB lists twice is taken from its first record.
    SELECT *
    FROM configuration_items
    QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
),
relations AS (
    SELECT DISTINCT
        source_ci_id,
        relation,
        target_ci_id,
        source.ci_class AS source_class,
        target.ci_class AS target_class
    FROM ci_relations
    JOIN items AS source ON source.ci_id = source_ci_id
    JOIN items AS target ON target.ci_id = target_ci_id
),
only_hosts AS (
    -- What runs on several hosts stands for none of them.
    SELECT source_ci_id AS ci_id, any_value(target_ci_id) AS host_id
    FROM relations
    WHERE relation = 'runs_on' AND target_class = 'host'
    GROUP BY source_ci_id
    HAVING count(*) = 1
),
applications AS (
    SELECT target_ci_id AS ci_id, list(source_ci_id ORDER BY source_ci_id) AS application_ids
    FROM relations
    WHERE source_class = 'application'
        AND (relation, target_class) IN (('runs_on', 'host'), ('depends_on', 'database'))
    GROUP BY target_ci_id
),
uplinks AS (
    SELECT source_ci_id AS host_id, list(target_ci_id ORDER BY target_ci_id) AS network_device_ids
    FROM relations
    WHERE relation = 'connected_to' AND source_class = 'host' AND target_class = 'network_device'
    GROUP BY source_ci_id
),
placed AS (
    SELECT
        items.*,
        CASE WHEN ci_class = 'application' THEN [ci_id] ELSE coalesce(application_ids, []::VARCHAR[]) END AS application_ids,
        CASE ci_class
            WHEN 'host' THEN ci_id
            WHEN 'database' THEN only_hosts.host_id
            WHEN 'application' THEN only_hosts.host_id
        END AS host_id
    FROM items
    LEFT JOIN only_hosts USING (ci_id)
    LEFT JOIN applications USING (ci_id)
),
tiers AS (
    -- A CI is as important as the most important application that hangs on it.
    SELECT ci_id, min(tier) AS tier
    FROM (SELECT ci_id, unnest(application_ids) AS application_id FROM placed)
    JOIN (SELECT ci_id AS application_id, tier FROM items) USING (application_id)
    GROUP BY ci_id
)
SELECT
    ci_id,
    ci_class,
    application_ids,
    placed.host_id,
    CASE
        WHEN ci_class = 'network_device' THEN [ci_id]
        WHEN ci_class IN ('host', 'database') AND network_device_ids IS NOT NULL THEN network_device_ids
        ELSE []::VARCHAR[]
    END AS network_device_ids,
    CASE ci_class WHEN 'site' THEN ci_id ELSE site_id END AS site_id,
    support_group_id,
    owner_id,
    tiers.tier
FROM placed
LEFT JOIN tiers USING (ci_id)
LEFT JOIN uplinks ON uplinks.host_id = placed.host_id
