-- Anomalies of the day before that are gone, each with what became of it.
WITH gone AS (
    SELECT
        *,
        dataset = 'metric_instances' AND subject_kind = 'row' AND ci_id IS NOT NULL AS is_instance
    FROM previous_anomalies
    ANTI JOIN anomalies USING (anomaly_id)
),
unjudged_policies AS (
    SELECT system, dataset, policy_id FROM check_results WHERE verdict IN ('not_evaluated', 'error')
    UNION
    -- A policy that is judged no more says nothing about what it had found.
    SELECT system, dataset, policy_id
    FROM previous_check_results
    ANTI JOIN check_results USING (system, dataset, policy_id)
),
unjudged_datasets AS (
    SELECT system, dataset
    FROM check_results
    GROUP BY system, dataset
    HAVING bool_and(verdict = 'not_evaluated')
),
underived AS (
    SELECT subject_key AS metric
    FROM anomalies
    WHERE system = $derived AND subject_kind = 'processing_model'
),
unverified AS (
    SELECT anomaly_id
    FROM (SELECT anomaly_id, system, dataset, unnest(policy_ids) AS policy_id FROM gone)
    SEMI JOIN unjudged_policies USING (system, dataset, policy_id)
    UNION
    SELECT anomaly_id
    FROM gone
    SEMI JOIN unjudged_datasets USING (system, dataset)
    WHERE subject_kind = 'row'
    UNION
    SELECT anomaly_id
    FROM gone
    SEMI JOIN underived USING (metric)
    WHERE system = $derived AND subject_kind = 'row'
),
kept AS (
    -- One probe of the inventory finds the instances that are still there.
    SELECT DISTINCT system, instance_id
    FROM instances
    SEMI JOIN (SELECT system, subject_key FROM gone WHERE is_instance) AS wanted
        ON wanted.system = instances.system AND wanted.subject_key = instances.instance_id
)
SELECT
    gone.* EXCLUDE (is_instance),
    CASE
        WHEN unverified.anomaly_id IS NOT NULL THEN 'unverified'
        WHEN gone.is_instance AND kept.instance_id IS NULL THEN 'withdrawn'
        ELSE 'resolved'
    END AS outcome
FROM gone
LEFT JOIN unverified USING (anomaly_id)
LEFT JOIN kept ON kept.system = gone.system AND kept.instance_id = gone.subject_key
