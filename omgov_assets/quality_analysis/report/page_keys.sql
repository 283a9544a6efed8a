-- Keys of a kind that get a page: those with anomalies, or with some resolved, most anomalies first.
SELECT subject_key AS key, count(*) OVER () AS keys
FROM scorecards
WHERE subject_kind = $kind AND quality_dimension = 'overall' AND anomalies + resolved_anomalies > 0
ORDER BY anomalies DESC, subject_key
LIMIT $most
