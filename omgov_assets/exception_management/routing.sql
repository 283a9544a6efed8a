-- The day's anomalies with who answers for each: the CI's or the owner's support group, else that of its application, else
-- the data engineer of its business system, else the governance office.
CREATE OR REPLACE TEMP TABLE today AS
WITH people AS (
    SELECT owner_id, coalesce(active, true) AS is_active, support_group_id
    FROM owners
    WHERE owner_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY owner_id ORDER BY _batch_id, _record_no) = 1
),
applications AS (
    SELECT ci_id, application_id, groups.support_group_id, groups.tier
    FROM (SELECT ci_id, unnest(application_ids) AS application_id FROM ci_dimensions)
    JOIN (SELECT ci_id AS application_id, support_group_id, tier FROM ci_dimensions) AS groups USING (application_id)
    WHERE groups.support_group_id IS NOT NULL
),
application_groups AS (
    -- Of several applications the most important one.
    SELECT ci_id, support_group_id AS application_group
    FROM applications
    QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY tier NULLS LAST, application_id) = 1
),
placed AS (
    SELECT
        anomalies.* REPLACE (
            -- A night without CMDB goes by the last one.
            coalesce(anomalies.support_group_id, ci_dimensions.support_group_id) AS support_group_id,
            coalesce(anomalies.owner_id, ci_dimensions.owner_id) AS owner_id
        ),
        application_groups.application_group
    FROM anomalies
    LEFT JOIN ci_dimensions USING (ci_id)
    LEFT JOIN application_groups USING (ci_id)
),
routed AS (
    SELECT
        placed.*,
        coalesce(people.is_active, true) AS owner_is_active,
        coalesce(placed.support_group_id, people.support_group_id) AS own_group,
        engineers.email AS engineer
    FROM placed
    LEFT JOIN people USING (owner_id)
    LEFT JOIN engineers USING (system)
)
SELECT
    anomaly_id,
    cause_id,
    anomaly_type,
    severity,
    tier,
    system,
    dataset,
    subject_kind,
    subject_key,
    source_metric,
    metric,
    ci_id,
    coalesce(application_ids, []::VARCHAR[]) AS application_ids,
    policy_ids,
    CASE WHEN owner_is_active THEN owner_id END AS owner_id,
    CASE WHEN NOT owner_is_active THEN owner_id END AS inactive_owner_id,
    CASE
        WHEN own_group IS NOT NULL THEN 'support_group'
        WHEN application_group IS NOT NULL THEN 'application_group'
        WHEN engineer <> '' THEN 'data_engineer'
        ELSE 'governance_office'
    END AS responsible_kind,
    coalesce(own_group, application_group, nullif(engineer, ''), $office) AS responsible,
    CASE
        WHEN cause_id IS NOT NULL THEN NULL
        WHEN $unexplained_by = 'responsible' THEN coalesce(own_group, application_group, nullif(engineer, ''), $office)
        ELSE system
    END AS scope
FROM routed
