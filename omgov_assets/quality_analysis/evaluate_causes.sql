-- How root causes compare with those of a truth: one row for each true cause of the day with enough anomalies to be one.
WITH planted AS (
    SELECT DISTINCT system, dataset, anomaly_type, subject_kind, subject_key, cause_id AS true_cause
    FROM truth
    WHERE day::DATE = $day::DATE
),
found AS (
    SELECT anomalies.*, true_cause
    FROM anomalies
    LEFT JOIN planted USING (system, dataset, anomaly_type, subject_kind, subject_key)
),
-- Of what a cause was found to explain, how much is of each true cause, and how much of none.
shared AS (
    SELECT true_cause, cause_id, count(*) AS anomalies
    FROM found
    GROUP BY true_cause, cause_id
),
sizes AS (
    SELECT cause_id, sum(anomalies) FILTER (true_cause IS NOT NULL) AS of_any
    FROM shared
    WHERE cause_id IS NOT NULL
    GROUP BY cause_id
),
members AS (
    SELECT true_cause, sum(anomalies) AS anomalies FROM shared WHERE true_cause IS NOT NULL GROUP BY true_cause
),
-- Several types of one place may have been found as several causes: each counts that is mostly the true one's.
mine AS (
    SELECT
        true_cause,
        sum(shared.anomalies) AS explained,
        min(rank) AS rank,
        max_by(root_causes.conditions, shared.anomalies) AS conditions_found
    FROM shared
    JOIN sizes USING (cause_id)
    JOIN root_causes USING (cause_id)
    WHERE true_cause IS NOT NULL AND shared.anomalies >= $share * sizes.of_any
    GROUP BY true_cause
)
SELECT
    truth_causes.cause_id AS true_cause,
    truth_causes.kind,
    truth_causes.conditions,
    truth_causes.anomaly_type,
    truth_causes.instances,
    truth_causes.support,
    truth_causes.lift,
    members.anomalies::BIGINT AS anomalies,
    coalesce(explained, 0)::BIGINT AS explained,
    coalesce(explained, 0) >= $share * members.anomalies AS is_found,
    mine.rank,
    mine.conditions_found
FROM truth_causes
JOIN members ON members.true_cause = truth_causes.cause_id
LEFT JOIN mine ON mine.true_cause = truth_causes.cause_id
WHERE truth_causes.day::DATE = $day::DATE
ORDER BY members.anomalies DESC, truth_causes.cause_id
