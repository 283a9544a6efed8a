-- The rules, once more and from nothing but the deliveries: (system, dataset, anomaly_type, subject_key).
WITH RECURSIVE reaches(start, ci_id) AS (
    -- Only applications depend on their like, so only they can come back to themselves.
    SELECT source_ci_id, target_ci_id FROM ci_relations WHERE relation = 'depends_on'
    UNION
    SELECT r.start, e.target_ci_id FROM reaches AS r JOIN ci_relations AS e ON e.source_ci_id = r.ci_id AND e.relation = 'depends_on'
),
instances AS MATERIALIZED (
    SELECT
        i.*,
        substr(md5(i.system || chr(31) || i.source_metric || chr(31) || i.ci_id || chr(31) || i.attributes), 1, 16) AS instance_id,
        r.metric, r.unit, r.unit_status,
        i.sample_min * r.factor AS value_min, i.sample_max * r.factor AS value_max,
        list_sort(json_keys(i.attributes::JSON)) AS keys,
        s.valid_min, s.valid_max, s.varies, s.stability, s.unit AS standard_unit,
        getvariable('day') > s.since + s.grace_days AS is_over, s.ci_classes, s.required_attributes,
        epoch(least(i.last_seen_at, getvariable('day_end'))) - epoch(greatest(i.first_seen_at, getvariable('day_start'))) AS window_s
    FROM all_instances AS i
    LEFT JOIN resolved AS r ON r.system = i.system AND r.source_metric = i.source_metric AND r.source_unit IS NOT DISTINCT FROM i.source_unit
    LEFT JOIN standard AS s ON s.metric = r.metric
    WHERE NOT i.unusable
),
defined AS MATERIALIZED (
    SELECT d.system, d.source_metric, d.source_unit, d.interval_s, r.metric, r.unit, r.unit_status, s.unit AS standard_unit,
           (d.instrument, d.value_type) = (s.instrument, s.value_type) AS as_the_standard
    FROM definitions AS d
    LEFT JOIN resolved AS r ON r.system = d.system AND r.source_metric = d.source_metric AND r.source_unit IS NOT DISTINCT FROM d.source_unit
    LEFT JOIN standard AS s ON s.metric = r.metric
),
one_definition AS (
    SELECT system, source_metric, any_value(unit) AS unit, any_value(interval_s) AS interval_s FROM defined GROUP BY ALL
),
ci AS (SELECT ci_id, any_value(ci_class) AS ci_class, any_value(status) AS status, any_value(owner_id) AS owner_id FROM configuration_items GROUP BY ALL),
joined AS MATERIALIZED (
    SELECT i.*, d.source_metric IS NOT NULL AS is_defined, d.unit AS defined_unit, d.interval_s AS defined_interval_s,
           c.ci_id IS NOT NULL AS ci_known, c.ci_class, c.status, c.owner_id, o.active
    FROM instances AS i
    LEFT JOIN one_definition AS d USING (system, source_metric)
    LEFT JOIN ci AS c USING (ci_id)
    LEFT JOIN owners AS o ON o.owner_id = c.owner_id
),
on_shared AS MATERIALIZED (
    FROM instances WHERE metric IS NOT NULL AND ci_id IN (FROM instances SELECT ci_id GROUP BY ci_id HAVING count(DISTINCT system) > 1)
),
conflicts AS (
    SELECT DISTINCT a.system, a.instance_id,
        a.attributes = b.attributes AND a.unit_status = 'ok' AND b.unit_status = 'ok' AND a.unit <> b.unit AS by_unit,
        a.attributes = b.attributes AND a.interval_s <> b.interval_s AS by_interval,
        a.keys <> b.keys AS by_keys
    FROM on_shared AS a JOIN on_shared AS b ON a.ci_id = b.ci_id AND a.metric = b.metric AND a.system <> b.system
),
of_instances AS (
    SELECT system, instance_id AS subject_key, unnest([
        if(unit_status = 'ok' AND (value_min < valid_min OR value_max > valid_max), 'value_out_of_range', NULL),
        if(varies AND sample_count >= 24 AND sample_distinct = 1, 'flat_line', NULL),
        if(sample_mean < sample_min OR sample_mean > sample_max, 'profile_inconsistent', NULL),
        if(metric IS NOT NULL AND standard_unit <> '1' AND source_unit IS NULL, 'unit_missing', NULL),
        if(ci_known AND owner_id IS NULL, 'owner_missing', NULL),
        if(window_s / interval_s >= 12 AND sample_count < 0.5 * window_s / interval_s, 'low_sample_count', NULL),
        if(NOT list_has_all(keys, required_attributes), 'attribute_missing', NULL),
        if(unit_status = 'unknown', 'unit_unknown', NULL),
        if(unit_status = 'incompatible', 'unit_incompatible', NULL),
        if(interval_s <> defined_interval_s, 'interval_mismatch', NULL),
        if(unit_status = 'ok' AND unit <> defined_unit, 'unit_mismatch', NULL),
        if(NOT is_defined, 'undefined_metric', NULL),
        if(NOT ci_known, 'unknown_ci', NULL),
        if(status = 'decommissioned', 'decommissioned_ci', NULL),
        if(ci_known AND metric IS NOT NULL AND NOT list_contains(ci_classes, ci_class), 'ci_class_mismatch', NULL),
        if(active = 'false', 'owner_inactive', NULL),
        if(last_seen_at < getvariable('day_end') - to_seconds(2 * interval_s), 'stale_instance', NULL),
        if(last_seen_at > getvariable('day_end') + to_seconds(interval_s), 'future_timestamp', NULL),
        if(last_seen_at IS NULL, 'never_reported', NULL),
        if(stability = 'deprecated' AND is_over, 'deprecated_metric_in_use', NULL),
        if(stability = 'withdrawn' AND is_over, 'withdrawn_metric_in_use', NULL)
    ]) AS anomaly_type
    FROM joined
    UNION ALL SELECT system, instance_id, 'duplicate_instance' FROM instances GROUP BY ALL HAVING count(*) > 1
    UNION ALL SELECT system, instance_id, 'unit_conflict' FROM conflicts WHERE by_unit
    UNION ALL SELECT system, instance_id, 'interval_conflict' FROM conflicts WHERE by_interval
    UNION ALL SELECT system, instance_id, 'attribute_conflict' FROM conflicts WHERE by_keys
),
of_definitions AS (
    SELECT system, source_metric AS subject_key, unnest([
        if(source_unit IS NULL AND (metric IS NULL OR standard_unit <> '1'), 'definition_unit_missing', NULL),
        if(interval_s IS NULL, 'definition_interval_missing', NULL),
        if(unit_status = 'unknown', 'definition_unit_unknown', NULL),
        if(unit_status = 'incompatible', 'definition_unit_incompatible', NULL),
        if(metric IS NULL, 'unmapped_metric', NULL),
        if(NOT as_the_standard AND EXISTS (
            FROM defined AS o WHERE o.metric = d.metric AND o.system <> d.system AND o.as_the_standard
        ), 'definition_type_conflict', NULL)
    ]) AS anomaly_type
    FROM defined AS d
    UNION ALL SELECT system, source_metric, 'definition_duplicate' FROM defined GROUP BY ALL HAVING count(*) > 1
),
missing AS MATERIALIZED (
    SELECT c.ci_id, b.metric
    FROM configuration_items AS c
    JOIN baseline AS b ON b.ci_class = c.ci_class AND (b.tier IS NULL OR b.tier = c.tier)
    WHERE c.status = 'in_use'
    EXCEPT
    SELECT ci_id, metric FROM instances
),
of_expected AS (
    SELECT DISTINCT i.system, m.ci_id || '|' || m.metric AS subject_key FROM missing AS m JOIN instances AS i USING (ci_id)
),
of_unmonitored AS (
    SELECT ci_id || '|' || metric AS subject_key FROM missing WHERE ci_id NOT IN (SELECT ci_id FROM instances)
),
points AS (
    SELECT samples.*, samples.rowid AS place, substr(md5(system || chr(31) || source_metric || chr(31) || ci_id || chr(31) || attributes), 1, 16) AS series, substr(md5(system || chr(31) || source_metric || chr(31) || ci_id || chr(31) || attributes), 1, 16)
        || '|' || strftime(observed_at AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S+00') AS subject_key
    FROM samples
),
-- Every time of a series once, in the order of the times and in that of delivery.
once AS (
    SELECT system, series, subject_key, observed_at, min(place) AS place, any_value("value") AS "value"
    FROM points
    WHERE observed_at >= getvariable('day_start') AND observed_at < getvariable('day_end')
    GROUP BY ALL
),
in_time AS (
    SELECT *, lag(observed_at) OVER w AS lag_at, lag("value") OVER w AS lag_value FROM once
    WINDOW w AS (PARTITION BY series ORDER BY observed_at)
),
delivered AS (
    SELECT *, lag(observed_at) OVER w AS lag_at FROM once WINDOW w AS (PARTITION BY series ORDER BY place)
),
islands AS (
    SELECT *, sum(if("value" IS NOT DISTINCT FROM lag_value, 0, 1)) OVER (PARTITION BY series ORDER BY observed_at) AS island
    FROM in_time
),
of_samples AS (
    SELECT system, subject_key, 'sample_value_missing' AS anomaly_type FROM points WHERE "value" IS NULL
    UNION ALL SELECT system, subject_key, 'sample_duplicate' FROM points GROUP BY ALL HAVING count(*) > 1
    UNION ALL SELECT system, subject_key, 'sample_outside_day' FROM points
    WHERE observed_at < getvariable('day_start') OR observed_at >= getvariable('day_end')
    UNION ALL SELECT system, subject_key, 'sample_gap' FROM in_time
    WHERE observed_at - lag_at > INTERVAL 61 MINUTE
    UNION ALL SELECT system, subject_key, 'sample_clock_step' FROM delivered
    WHERE observed_at < lag_at AND series IN (SELECT series FROM delivered GROUP BY series HAVING count(*) FILTER (observed_at < lag_at) = 1)
    UNION ALL SELECT system, min_by(subject_key, observed_at), 'sample_flat_line' FROM islands
    GROUP BY system, series, island HAVING count(*) >= 12
    UNION ALL SELECT system, subject_key, 'sample_counter_reset' FROM in_time
    WHERE "value" < 0.5 * lag_value AND series IN (SELECT series FROM in_time GROUP BY series HAVING count(*) FILTER ("value" < lag_value) = 1)
),
of_items AS (
    SELECT ci_id AS subject_key, unnest([
        if(owner_id IS NULL AND ci_class <> 'site' AND status = 'in_use', 'ci_owner_missing', NULL),
        if(site_id IS NULL AND ci_class NOT IN ('site', 'application') AND status = 'in_use', 'ci_site_missing', NULL),
        if(support_group_id NOT IN (SELECT support_group_id FROM support_groups), 'ci_group_unknown', NULL),
        if(ci_class = 'host' AND status = 'in_use' AND ci_id NOT IN (
            SELECT source_ci_id FROM ci_relations UNION ALL SELECT target_ci_id FROM ci_relations), 'ci_unrelated', NULL)
    ]) AS anomaly_type
    FROM configuration_items
    UNION ALL SELECT ci_id, 'ci_duplicate' FROM configuration_items GROUP BY ALL HAVING count(*) > 1
    UNION ALL SELECT ci_id, 'ci_owner_unknown' FROM configuration_items
    WHERE status = 'in_use' AND owner_id IS NOT NULL AND owner_id NOT IN (SELECT owner_id FROM owners)
    UNION ALL SELECT ci_id, 'ci_owner_inactive' FROM configuration_items JOIN owners USING (owner_id)
    WHERE status = 'in_use' AND active = 'false'
    UNION ALL SELECT c.ci_id, 'ci_group_contradiction' FROM configuration_items AS c JOIN owners AS o USING (owner_id)
    WHERE c.status = 'in_use' AND c.support_group_id <> o.support_group_id
        AND c.support_group_id IN (SELECT support_group_id FROM support_groups)
        AND o.support_group_id IN (SELECT support_group_id FROM support_groups)
    UNION ALL SELECT ci_id, 'ci_group_contradiction' FROM configuration_items
    GROUP BY ci_id HAVING count(DISTINCT support_group_id) > 1
    UNION ALL SELECT a.ci_id, 'ci_owner_contradiction' FROM configuration_items AS a JOIN configuration_items AS b USING (ci_id)
    WHERE a.owner_id < b.owner_id
    UNION ALL SELECT DISTINCT ci_id, 'ci_decommissioned_reporting' FROM configuration_items JOIN instances USING (ci_id)
    WHERE status = 'decommissioned'
),
of_relations AS (
    SELECT concat_ws('|', source_ci_id, relation, target_ci_id) AS subject_key, unnest([
        if(source_ci_id NOT IN (SELECT ci_id FROM configuration_items) OR target_ci_id NOT IN (SELECT ci_id FROM configuration_items),
            'relation_ci_unknown', NULL),
        if((SELECT any_value(ci_class) FROM configuration_items WHERE ci_id = source_ci_id) = 'database' AND relation = 'connected_to',
            'relation_class_mismatch', NULL)
    ]) AS anomaly_type
    FROM ci_relations
    UNION ALL SELECT concat_ws('|', source_ci_id, relation, target_ci_id), 'relation_duplicate'
    FROM ci_relations GROUP BY ALL HAVING count(*) > 1
    UNION ALL SELECT concat_ws('|', source_ci_id, relation, target_ci_id), 'relation_cycle'
    FROM ci_relations LEFT JOIN reaches ON start = target_ci_id AND ci_id = source_ci_id
    WHERE relation = 'depends_on' AND (source_ci_id = target_ci_id OR start IS NOT NULL)
)
SELECT DISTINCT system, 'metric_instances', anomaly_type, subject_key FROM of_instances WHERE anomaly_type IS NOT NULL
UNION ALL SELECT DISTINCT system, 'metric_definitions', anomaly_type, subject_key FROM of_definitions WHERE anomaly_type IS NOT NULL
UNION ALL SELECT DISTINCT system, 'metric_samples', anomaly_type, subject_key FROM of_samples
UNION ALL SELECT DISTINCT 'cmdb', 'configuration_items', anomaly_type, subject_key FROM of_items WHERE anomaly_type IS NOT NULL
UNION ALL SELECT DISTINCT 'cmdb', 'ci_relations', anomaly_type, subject_key FROM of_relations WHERE anomaly_type IS NOT NULL
UNION ALL SELECT system, 'metric_instances', 'missing_baseline_metric', subject_key FROM of_expected
UNION ALL SELECT 'cmdb', 'configuration_items', 'missing_baseline_metric', subject_key FROM of_unmonitored
