-- Who answers for the cases that are worked on, by name; the most burdened first.
SELECT responsible, responsible_kind, coalesce(any_value(label), responsible) AS label, count(*) AS cases
FROM cases
LEFT JOIN labels ON labels.kind = 'support_group' AND labels.key = responsible
WHERE status NOT IN ('closed', 'merged')
GROUP BY responsible, responsible_kind
ORDER BY cases DESC, responsible
