-- Subjects whose overall score rose most since the day before.
SELECT subject_kind, subject_key, label, score, change
FROM scorecards
WHERE quality_dimension = 'overall' AND subject_kind NOT IN ('firm', 'site') AND change >= 0.01
QUALIFY row_number() OVER (PARTITION BY subject_kind ORDER BY change DESC, subject_key) <= $top
ORDER BY subject_kind, change DESC, subject_key
