-- Subjects with the lowest overall score of each kind.
SELECT *
FROM scorecards
WHERE quality_dimension = 'overall' AND subject_kind NOT IN ('firm', 'system') AND score IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY subject_kind ORDER BY score, anomalies DESC, subject_key) <= $top
ORDER BY subject_kind, score, anomalies DESC, subject_key
