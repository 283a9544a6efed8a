-- For each anomaly that was ever a member, the membership that counts: the open one, else one of a case that is worked on,
-- else the last one that ended.
CREATE OR REPLACE TEMP TABLE held AS
SELECT members_before.*
FROM members_before
JOIN cases_before USING (case_id)
QUALIFY row_number() OVER (
    PARTITION BY anomaly_id
    ORDER BY state = 'open' DESC, status <> 'closed' DESC, state_day DESC, case_id
) = 1
