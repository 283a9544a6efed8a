-- Open cases that a case can be merged into: those of its anomaly type or its cause first, then the worst and largest.
SELECT *
FROM open_cases
WHERE status NOT IN ('closed', 'merged') AND case_id <> $case
ORDER BY
    (anomaly_type = $type OR coalesce(cause_id = $cause, false)) DESC,
    list_position(['critical', 'warning', 'info'], severity),
    open_members DESC,
    case_id
LIMIT $top
