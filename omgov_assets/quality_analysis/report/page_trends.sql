-- Overall scores, day by day, of the keys that get a page.
SELECT subject_key AS key, list(score ORDER BY day) AS scores
FROM scorecard_history
SEMI JOIN keys ON keys.key = subject_key
WHERE subject_kind = $kind AND quality_dimension = 'overall' AND score IS NOT NULL
GROUP BY subject_key
