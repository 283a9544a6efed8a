-- Overall scores and movements of the subjects of a kind, day by day.
SELECT
    day,
    subject_key,
    label,
    score,
    subjects,
    anomalies,
    backlog,
    new_anomalies,
    resolved_anomalies,
    new_defect_rate
FROM scorecard_history
WHERE subject_kind = $kind AND quality_dimension = 'overall'
ORDER BY subject_key, day
