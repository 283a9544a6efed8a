-- What each recipient's digest counts. Reads: addressed, cases.
SELECT
    recipient_kind,
    recipient,
    count(DISTINCT case_id) FILTER (is_open) AS cases,
    count(DISTINCT case_id) FILTER (is_open AND is_overdue) AS overdue_cases,
    count(DISTINCT case_id) FILTER (status = 'waived') AS waived_cases,
    count(DISTINCT case_id) FILTER (NOT is_open) AS closed_cases,
    count(*) FILTER (is_open) AS anomalies,
    count(*) FILTER (is_open AND is_new) AS new_anomalies,
    count(*) FILTER (is_open AND is_unverified) AS unverified_anomalies,
    count(*) FILTER (is_open AND addressed.severity = 'critical') AS critical,
    count(*) FILTER (is_open AND addressed.severity = 'warning') AS warning,
    count(*) FILTER (is_open AND addressed.severity = 'info') AS info,
    min(due_day) FILTER (is_open AND NOT is_overdue AND NOT is_waived) AS next_due_day
FROM addressed
JOIN cases USING (case_id)
GROUP BY recipient_kind, recipient
ORDER BY recipient_kind, recipient
