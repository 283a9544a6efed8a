-- Scorecards of the keys that get a page.
SELECT *
FROM scorecards
SEMI JOIN keys ON keys.key = subject_key
WHERE subject_kind = $kind
ORDER BY subject_key, quality_dimension
