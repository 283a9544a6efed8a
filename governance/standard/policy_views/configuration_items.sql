-- What policies on configuration_items see beside the row itself: its support group, and whether any relation names it.
WITH related AS (
    SELECT source_ci_id AS ci_id FROM own.ci_relations
    UNION
    SELECT target_ci_id AS ci_id FROM own.ci_relations
)
SELECT
    c.*,
    c.ci_id IN (SELECT ci_id FROM related) AS is_related,
    c.support_group_id IN (SELECT support_group_id FROM own.support_groups) AS is_group_known
FROM dataset AS c
