-- What policies on configuration_items see beside the row itself: its support group and owner, whether any relation names it,
-- whether its entries agree, and whether anything is reported of it.
WITH related AS (
    SELECT source_ci_id AS ci_id FROM own.ci_relations
    UNION
    SELECT target_ci_id AS ci_id FROM own.ci_relations
),
owners AS (
    SELECT owner_id, active, support_group_id
    FROM own.owners
    QUALIFY row_number() OVER (PARTITION BY owner_id ORDER BY _batch_id, _record_no) = 1
),
entries AS (
    -- An entry that says nothing contradicts none.
    SELECT
        ci_id,
        count(DISTINCT support_group_id) <= 1 AS is_group_agreed,
        count(DISTINCT owner_id) <= 1 AS is_owner_agreed
    FROM dataset
    GROUP BY ci_id
),
reporting AS (
    SELECT DISTINCT ci_id FROM firm.metric_instances
)
SELECT
    c.*,
    c.ci_id IN (SELECT ci_id FROM related) AS is_related,
    c.support_group_id IN (SELECT support_group_id FROM own.support_groups) AS is_group_known,
    CASE WHEN c.owner_id IS NOT NULL THEN o.owner_id IS NOT NULL END AS is_owner_known,
    o.active AS is_owner_active,
    o.support_group_id AS owner_group_id,
    -- A group that does not exist is no other group; that is found by itself.
    CASE
        WHEN c.support_group_id IN (SELECT support_group_id FROM own.support_groups)
            AND o.support_group_id IN (SELECT support_group_id FROM own.support_groups)
        THEN c.support_group_id = o.support_group_id
    END AS is_group_of_owner,
    e.is_group_agreed,
    e.is_owner_agreed,
    c.ci_id IN (SELECT ci_id FROM reporting WHERE ci_id IS NOT NULL) AS is_reporting
FROM dataset AS c
LEFT JOIN owners AS o USING (owner_id)
LEFT JOIN entries AS e ON e.ci_id = c.ci_id
