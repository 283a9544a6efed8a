-- The day's anomalies that are members of no case yet, each with the case that it joins.
CREATE OR REPLACE TEMP TABLE arriving AS
WITH placed AS (
    SELECT case_id, anomaly_id FROM held WHERE state = 'open'
    UNION ALL BY NAME
    SELECT case_id, anomaly_id FROM member_changes WHERE kind = 'member_reopened'
),
counted AS (
    SELECT today.cause_id, today.anomaly_type, today.responsible, placed.case_id, count(*) AS anomalies
    FROM today
    LEFT JOIN placed USING (anomaly_id)
    GROUP BY ALL
),
shares AS (
    SELECT *, sum(anomalies) OVER (PARTITION BY cause_id, anomaly_type, responsible) AS anomalies_of_key
    FROM counted
),
-- A cause whose name has changed a little: most of what it explains is in one case already.
majorities AS (
    SELECT cause_id, anomaly_type, responsible, case_id
    FROM shares
    WHERE case_id IS NOT NULL AND 2 * anomalies >= anomalies_of_key
    QUALIFY row_number() OVER (PARTITION BY cause_id, anomaly_type, responsible ORDER BY anomalies DESC, case_id) = 1
),
same_key AS (
    SELECT cause_id, anomaly_type, found_for AS responsible, case_id
    FROM cases_before
    WHERE status <> 'closed' OR case_id IN (SELECT case_id FROM member_changes WHERE kind = 'member_reopened')
    -- Who split a case wanted the rest apart.
    QUALIFY row_number() OVER (
        PARTITION BY cause_id, anomaly_type, found_for
        ORDER BY is_split, opened_day, case_id
    ) = 1
)
SELECT
    today.anomaly_id,
    today.cause_id,
    today.anomaly_type,
    today.responsible,
    today.responsible_kind,
    coalesce(same_key.case_id, majorities.case_id) IS NULL AS is_of_new_case,
    coalesce(
        same_key.case_id,
        majorities.case_id,
        substr(
            md5(concat_ws(chr(31), 'case', $day::DATE, coalesce(today.cause_id, ''), today.anomaly_type, today.responsible)),
            1,
            12
        )
    ) AS case_id
FROM today
ANTI JOIN placed USING (anomaly_id)
LEFT JOIN same_key
    ON same_key.cause_id IS NOT DISTINCT FROM today.cause_id
    AND same_key.anomaly_type = today.anomaly_type
    AND same_key.responsible = today.responsible
LEFT JOIN majorities
    ON majorities.cause_id IS NOT DISTINCT FROM today.cause_id
    AND majorities.anomaly_type = today.anomaly_type
    AND majorities.responsible = today.responsible
