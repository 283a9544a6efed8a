-- Members whose state changes in the night: those that came back, and those that were judged again or left the inventory.
CREATE OR REPLACE TEMP TABLE member_changes AS
SELECT
    held.case_id,
    held.anomaly_id,
    'member_reopened' AS kind
FROM held
JOIN cases_before USING (case_id)
SEMI JOIN today USING (anomaly_id)
WHERE held.state <> 'open'
    AND (cases_before.status <> 'closed' OR $day::DATE - held.state_day <= $reopening_days)
UNION ALL BY NAME
SELECT
    held.case_id,
    held.anomaly_id,
    CASE outcome WHEN 'resolved' THEN 'member_resolved' ELSE 'member_withdrawn' END AS kind
FROM held
JOIN outcomes USING (anomaly_id)
WHERE held.state = 'open' AND outcome IN ('resolved', 'withdrawn')
