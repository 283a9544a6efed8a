-- Members of cases against the truth of a day: the subjects whose state or verification differs.
WITH held AS (
    -- The membership that counts: the open one, else the last that ended.
    SELECT system, dataset, anomaly_type, subject_kind, subject_key, state, NOT is_unverified AS is_verified, case_id
    FROM members
    QUALIFY row_number() OVER (
        PARTITION BY system, dataset, anomaly_type, subject_kind, subject_key
        ORDER BY state = 'open' DESC, state_day DESC, case_id
    ) = 1
),
compared AS (
    SELECT
        system,
        dataset,
        anomaly_type,
        subject_kind,
        subject_key,
        truth.state AS true_state,
        truth.is_verified AS is_truly_verified,
        held.state,
        held.is_verified,
        held.case_id,
        truth.state_day
    FROM truth
    FULL JOIN held USING (system, dataset, anomaly_type, subject_kind, subject_key)
)
SELECT
    * EXCLUDE (state_day),
    (true_state, is_truly_verified) IS NOT DISTINCT FROM (state, is_verified)
        -- A case that has been closed for so long is not looked at any more.
        OR (state IS NULL AND true_state <> 'open' AND $day::DATE - state_day > $reopening_days) AS is_equal
FROM compared
ORDER BY system, dataset, anomaly_type, subject_kind, subject_key
