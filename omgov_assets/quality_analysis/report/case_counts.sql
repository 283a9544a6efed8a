-- How many cases a day has, by what is to be done with them.
SELECT
    count(*) FILTER (status NOT IN ('closed', 'merged')) AS open,
    count(*) FILTER (is_overdue) AS overdue,
    count(*) FILTER (is_escalated AND status NOT IN ('closed', 'merged')) AS escalated,
    count(*) FILTER (status = 'waived') AS waived,
    count(*) FILTER (opened_day = day AND split_from IS NULL) AS new,
    count(*) FILTER (status = 'reopened') AS reopened,
    count(*) FILTER (closed_day = day) AS closed
FROM cases
