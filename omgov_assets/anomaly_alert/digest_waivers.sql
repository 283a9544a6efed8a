-- Waivers of single cases that end by a day, those that end first before. Reads: cases. $until: that day.
SELECT case_id, cause, scope, anomaly_type, waived_until, open_members
FROM cases
WHERE status = 'waived' AND waiver_id IS NULL AND waived_until <= $until::DATE
ORDER BY waived_until, open_members DESC, case_id
