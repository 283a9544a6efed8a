-- One row for each processing model: the owner and support group that its header's e-mail address leads to.
WITH models AS (
    SELECT
        coalesce(metric, system || '/' || dataset) AS subject_key,
        lower(trim(owner)) AS email
    FROM processing_models
),
accountable AS (
    -- Of several owners with one address the first counts.
    SELECT lower(trim(email)) AS email, min(owner_id) AS owner_id, arg_min(support_group_id, owner_id) AS support_group_id
    FROM owners
    GROUP BY ALL
),
maintaining AS (
    SELECT lower(trim(email)) AS email, min(support_group_id) AS support_group_id
    FROM support_groups
    GROUP BY ALL
)
SELECT
    models.subject_key,
    any_value(accountable.owner_id) AS owner_id,
    any_value(coalesce(maintaining.support_group_id, accountable.support_group_id)) AS support_group_id
FROM models
LEFT JOIN accountable USING (email)
LEFT JOIN maintaining USING (email)
GROUP BY models.subject_key
