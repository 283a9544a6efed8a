-- The day's anomalies that are members of no case yet, each with the case that it joins. The key of a case is root cause and
-- anomaly type, or type and scope where no cause explains it.
CREATE OR REPLACE TEMP TABLE arriving AS
WITH placed AS (
    SELECT case_id, anomaly_id FROM held WHERE state = 'open'
    UNION ALL BY NAME
    SELECT case_id, anomaly_id FROM member_changes WHERE kind = 'member_reopened'
),
keyed AS (
    -- One text for each key: nulls are equal to each other.
    SELECT today.*, concat_ws(chr(31), anomaly_type, coalesce(cause_id, ''), coalesce(scope, '')) AS case_key FROM today
),
counted AS (
    SELECT case_key, placed.case_id, count(*) AS anomalies
    FROM keyed
    LEFT JOIN placed USING (anomaly_id)
    GROUP BY ALL
),
shares AS (
    SELECT *, sum(anomalies) OVER (PARTITION BY case_key) AS anomalies_of_key
    FROM counted
),
-- A cause whose name has changed a little: most of what it explains is in one case already.
majorities AS (
    SELECT case_key, case_id
    FROM shares
    WHERE case_id IS NOT NULL AND 2 * anomalies >= anomalies_of_key
    QUALIFY row_number() OVER (PARTITION BY case_key ORDER BY anomalies DESC, case_id) = 1
),
same_key AS (
    SELECT concat_ws(chr(31), anomaly_type, coalesce(cause_id, ''), coalesce(scope, '')) AS case_key, case_id
    FROM cases_before
    WHERE status <> 'closed' OR case_id IN (SELECT case_id FROM member_changes WHERE kind = 'member_reopened')
    -- Who split a case wanted the rest apart.
    QUALIFY row_number() OVER (PARTITION BY case_key ORDER BY is_split, opened_day, case_id) = 1
)
SELECT
    keyed.anomaly_id,
    keyed.cause_id,
    keyed.anomaly_type,
    keyed.scope,
    keyed.system,
    keyed.responsible,
    keyed.responsible_kind,
    coalesce(same_key.case_id, majorities.case_id) IS NULL AS is_of_new_case,
    coalesce(
        same_key.case_id,
        majorities.case_id,
        substr(md5(concat_ws(chr(31), 'case', $day::DATE, case_key)), 1, 12)
    ) AS case_id
FROM keyed
ANTI JOIN placed USING (anomaly_id)
LEFT JOIN same_key USING (case_key)
LEFT JOIN majorities USING (case_key)
