-- The first cases that are worked on: the overdue, then the gravest, then the largest; what is waived last.
SELECT *
FROM cases
WHERE status NOT IN ('closed', 'merged')
ORDER BY
    status = 'waived',
    is_overdue DESC,
    list_position(['critical', 'warning', 'info'], severity),
    open_members DESC,
    case_id
LIMIT $top
