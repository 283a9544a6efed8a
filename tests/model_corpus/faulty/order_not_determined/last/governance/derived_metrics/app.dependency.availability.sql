/* ---
kind: derive
dataset: metric_samples
version: 1.2.0
owner: observability@example.com
description: Least availability among an application and the chain of what it depends on, by the last point of each.
metric: app.dependency.availability
interval_s: 60
window_s: 300
--- */
WITH RECURSIVE parents AS (
    SELECT source_ci_id AS ci_id, min(target_ci_id) AS parent_id
    FROM ci_relations
    WHERE relation IN ('depends_on', 'runs_on')
    GROUP BY source_ci_id
),
chain AS (
    SELECT ci_id AS app_id, ci_id AS member_id, 0 AS depth
    FROM configuration_items
    WHERE ci_class = 'application'
    UNION ALL
    SELECT c.app_id, p.parent_id, c.depth + 1
    FROM chain AS c
    JOIN parents AS p ON p.ci_id = c.member_id
    WHERE c.depth < 8
),
latest AS (
    SELECT ci_id, last(value) AS availability, max(observed_at) AS last_at
    FROM metric_samples
    WHERE metric = 'app.availability' AND value IS NOT NULL
    GROUP BY ci_id
)
SELECT
    chain.app_id AS ci_id,
    MAP {'weakest': arg_min(chain.member_id, struct_pack(a := latest.availability, m := chain.member_id))} AS attributes,
    max(latest.last_at) AS observed_at,
    min(latest.availability) AS value
FROM chain
JOIN latest ON latest.ci_id = chain.member_id
GROUP BY chain.app_id
