-- What policies on ci_relations see beside the row itself: whether the CMDB lists both ends, and whether such a relation exists
-- between their classes. What is found is the source's.
WITH items AS (
    SELECT ci_id, ci_class
    FROM own.configuration_items
    QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
),
fitting AS (
    SELECT *
    FROM (VALUES
        ('application', 'runs_on', 'host'),
        ('database', 'runs_on', 'host'),
        ('application', 'depends_on', 'database'),
        ('application', 'depends_on', 'application'),
        ('host', 'connected_to', 'network_device'),
        ('network_device', 'connected_to', 'network_device')
    ) AS known(source_class, relation, target_class)
)
SELECT
    r.*,
    r.source_ci_id AS ci_id,
    source.ci_id IS NOT NULL AS is_source_known,
    target.ci_id IS NOT NULL AS is_target_known,
    source.ci_class AS source_class,
    target.ci_class AS target_class,
    -- Of an end that is not listed no class is known.
    CASE
        WHEN source.ci_class IS NOT NULL AND target.ci_class IS NOT NULL
        THEN (source.ci_class, r.relation, target.ci_class) IN (SELECT (source_class, relation, target_class) FROM fitting)
    END AS is_class_fitting
FROM dataset AS r
LEFT JOIN items AS source ON source.ci_id = r.source_ci_id
LEFT JOIN items AS target ON target.ci_id = r.target_ci_id
