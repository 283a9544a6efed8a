-- The violations of a day as anomalies: one row for each subject and anomaly type, with the dimensions of its CI, or of the
-- owner of its processing model.
WITH grouped AS (
    SELECT
        system,
        dataset,
        anomaly_type,
        subject_kind,
        subject_key,
        min(list_position(['critical', 'warning', 'info'], severity)) AS severity_rank,
        list(DISTINCT policy_id) AS policy_ids,
        -- The fields compare in this order, so the first policy speaks for the others, and ties fall the same way every time.
        min({
            policy_id: policy_id,
            batch_id: batch_id,
            record_no: record_no,
            column_name: column_name,
            observed: observed,
            expected: expected,
            quality_dimension: quality_dimension,
            source_metric: source_metric,
            metric: metric,
            ci_id: ci_id,
            collector: collector,
            policy_hash: policy_hash,
            data_version: data_version
        }) AS told_by
    FROM violations
    GROUP BY system, dataset, anomaly_type, subject_kind, subject_key
),
identified AS (
    SELECT
        substr(md5(concat_ws(chr(31), system, dataset, anomaly_type, subject_kind, subject_key)), 1, 16) AS anomaly_id,
        told_by.ci_id AS ci_id,
        *
    FROM grouped
),
cmdb AS (
    SELECT count(*) > 0 AS is_present FROM ci_dimensions
),
-- Series that reported until the exchanges had closed for the day: that they fell silent touched no session.
silent_after_close AS (
    SELECT system, instance_id AS subject_key
    FROM instances
    SEMI JOIN (
        SELECT system, subject_key
        FROM identified
        WHERE dataset = 'metric_instances' AND subject_kind = 'row' AND told_by.quality_dimension = 'timeliness'
    ) AS late ON late.system = instances.system AND late.subject_key = instances.instance_id
    GROUP BY system, instance_id
    HAVING max(last_seen_at) >= $last_close::TIMESTAMPTZ AND max(last_seen_at) < $day_end::TIMESTAMPTZ
)
SELECT
    $day::DATE AS day,
    anomaly_id,
    anomaly_type,
    told_by.quality_dimension AS quality_dimension,
    ['critical', 'warning', 'info'][severity_rank] AS severity,
    identified.system AS system,
    dataset,
    subject_kind,
    identified.subject_key AS subject_key,
    told_by.source_metric AS source_metric,
    told_by.metric AS metric,
    ci_id,
    ci_class,
    -- No CMDB that day: nothing is known of applications, which is not the same as none.
    CASE WHEN is_present THEN coalesce(application_ids, []::VARCHAR[]) END AS application_ids,
    host_id,
    CASE WHEN is_present THEN coalesce(network_device_ids, []::VARCHAR[]) END AS network_device_ids,
    site_id,
    -- A processing model has no CI: it is its owner's.
    coalesce(ci_dimensions.support_group_id, model_dimensions.support_group_id) AS support_group_id,
    coalesce(ci_dimensions.owner_id, model_dimensions.owner_id) AS owner_id,
    told_by.collector AS collector,
    tier,
    $last_close::TIMESTAMPTZ IS NOT NULL
        AND NOT (
            told_by.quality_dimension = 'timeliness'
            AND dataset = 'metric_instances'
            AND subject_kind = 'row'
            AND silent_after_close.subject_key IS NOT NULL
        ) AS in_trading_session,
    told_by.observed AS observed,
    told_by.expected AS expected,
    list_sort(policy_ids) AS policy_ids,
    told_by.batch_id AS batch_id,
    told_by.record_no AS record_no,
    coalesce(previous.first_seen_day, $day::DATE) AS first_seen_day,
    told_by.policy_hash AS policy_hash,
    told_by.data_version AS data_version
FROM identified
CROSS JOIN cmdb
LEFT JOIN ci_dimensions USING (ci_id)
LEFT JOIN model_dimensions
    ON identified.subject_kind = 'processing_model' AND model_dimensions.subject_key = identified.subject_key
LEFT JOIN silent_after_close
    ON silent_after_close.system = identified.system AND silent_after_close.subject_key = identified.subject_key
LEFT JOIN (SELECT anomaly_id, first_seen_day FROM previous_anomalies) AS previous USING (anomaly_id)
