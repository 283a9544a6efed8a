-- Overdue cases, those with the oldest due day first, each with the support group that leads it where the CMDB knows it.
-- Reads: cases, support_groups.
SELECT case_id, cause, scope, anomaly_type, opened_day, due_day, open_members, is_escalated, known.support_group_id
FROM cases
LEFT JOIN (SELECT DISTINCT support_group_id FROM support_groups) AS known ON known.support_group_id = cases.responsible
WHERE is_overdue AND status NOT IN ('closed', 'merged', 'waived')
ORDER BY due_day, responsible, case_id
