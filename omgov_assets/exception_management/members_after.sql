-- Members after the night: what they are of today where they are anomalous today, and as they were last seen elsewhere.
CREATE OR REPLACE TEMP TABLE unmarked_members AS
WITH changed AS (
    SELECT
        members_before.*,
        member_changes.kind AS change,
        CASE member_changes.kind
            WHEN 'member_reopened' THEN 'open'
            WHEN 'member_resolved' THEN 'resolved'
            WHEN 'member_withdrawn' THEN 'withdrawn'
            ELSE members_before.state
        END AS state_after
    FROM members_before
    LEFT JOIN member_changes USING (case_id, anomaly_id)
),
seen AS (
    SELECT changed.*, today.anomaly_id IS NOT NULL AS is_seen, today AS now
    FROM changed
    LEFT JOIN today ON today.anomaly_id = changed.anomaly_id AND changed.state_after = 'open'
)
SELECT
    $day::DATE AS day,
    case_id,
    anomaly_id,
    state_after AS state,
    state_after = 'open' AND NOT is_seen AS is_unverified,
    added_day,
    CASE WHEN change IS NULL THEN state_day ELSE $day::DATE END AS state_day,
    CASE WHEN is_seen THEN $day::DATE ELSE last_seen_day END AS last_seen_day,
    recurrences + (change IS NOT DISTINCT FROM 'member_reopened')::BIGINT AS recurrences,
    anomaly_type,
    CASE WHEN is_seen THEN now.severity ELSE severity END AS severity,
    CASE WHEN is_seen THEN now.tier ELSE tier END AS tier,
    system,
    dataset,
    subject_kind,
    subject_key,
    CASE WHEN is_seen THEN now.source_metric ELSE source_metric END AS source_metric,
    CASE WHEN is_seen THEN now.metric ELSE metric END AS metric,
    CASE WHEN is_seen THEN now.ci_id ELSE ci_id END AS ci_id,
    CASE WHEN is_seen THEN to_json(now.application_ids)::VARCHAR ELSE application_ids END AS application_ids,
    CASE WHEN is_seen THEN now.responsible ELSE responsible END AS responsible,
    CASE WHEN is_seen THEN now.owner_id ELSE owner_id END AS owner_id,
    CASE WHEN is_seen THEN to_json(now.policy_ids)::VARCHAR ELSE policy_ids END AS policy_ids
FROM seen
UNION ALL BY NAME
SELECT
    $day::DATE AS day,
    arriving.case_id,
    today.anomaly_id,
    'open' AS state,
    false AS is_unverified,
    $day::DATE AS added_day,
    $day::DATE AS state_day,
    $day::DATE AS last_seen_day,
    0::BIGINT AS recurrences,
    today.anomaly_type,
    severity,
    tier,
    today.system,
    dataset,
    subject_kind,
    subject_key,
    source_metric,
    metric,
    ci_id,
    to_json(application_ids)::VARCHAR AS application_ids,
    today.responsible,
    owner_id,
    to_json(policy_ids)::VARCHAR AS policy_ids
FROM arriving
JOIN today USING (anomaly_id)
