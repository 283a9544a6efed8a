-- The whole firm's cases. Reads: cases, members. $day: business day.
SELECT
    count(*) FILTER (status NOT IN ('closed', 'merged')) AS cases,
    count(*) FILTER (status NOT IN ('closed', 'merged') AND is_overdue) AS overdue_cases,
    count(*) FILTER (status NOT IN ('closed', 'merged', 'waived') AND is_escalated) AS escalated_cases,
    count(*) FILTER (status = 'waived') AS waived_cases,
    count(*) FILTER (status = 'closed' AND closed_day = $day::DATE) AS closed_cases,
    coalesce(sum(open_members) FILTER (status NOT IN ('closed', 'merged')), 0)::BIGINT AS anomalies,
    (SELECT count(*) FROM members WHERE state = 'open' AND state_day = $day::DATE) AS new_anomalies,
    min(due_day) FILTER (status NOT IN ('closed', 'merged', 'waived') AND NOT is_overdue) AS next_due_day
FROM cases
