-- The CIs that were reached, with what the CMDB says of them and their anomalies.
WITH items AS (
    SELECT *
    FROM configuration_items
    QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
),
wrong AS (
    SELECT
        ci_id,
        count(*) AS anomalies,
        count(*) FILTER (severity = 'critical') AS critical,
        min(first_seen_day) AS oldest
    FROM anomalies
    SEMI JOIN reached USING (ci_id)
    GROUP BY ci_id
)
SELECT
    direction,
    distance,
    reached.relation,
    via,
    reached.ci_id,
    items.ci_class,
    items.name,
    items.status,
    items.site_id,
    coalesce(sites.label, items.site_id) AS site,
    coalesce(groups.label, items.support_group_id) AS support_group,
    coalesce(owners.label, items.owner_id) AS owner,
    coalesce(anomalies, 0) AS anomalies,
    coalesce(critical, 0) AS critical,
    oldest::VARCHAR AS oldest
FROM reached
LEFT JOIN items USING (ci_id)
LEFT JOIN wrong USING (ci_id)
LEFT JOIN labels AS sites ON sites.kind = 'site' AND sites.key = items.site_id
LEFT JOIN labels AS groups ON groups.kind = 'support_group' AND groups.key = items.support_group_id
LEFT JOIN labels AS owners ON owners.kind = 'owner' AND owners.key = items.owner_id
ORDER BY list_position(['itself', 'dependent', 'dependency'], direction), distance, anomalies DESC, reached.ci_id
