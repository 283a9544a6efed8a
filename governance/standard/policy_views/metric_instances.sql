-- What policies on metric_instances see beside the row itself: its definition, its standard metric, its CI and owner, how
-- punctual and complete it is, and what other systems report of the same CI and metric.
WITH definitions AS (
    SELECT source_metric, unit, interval_s
    FROM own.metric_definitions
    QUALIFY row_number() OVER (PARTITION BY source_metric ORDER BY _batch_id, _record_no) = 1
),
configuration_items AS (
    SELECT ci_id, ci_class, status, owner_id
    FROM cmdb.configuration_items
    QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
),
owners AS (
    SELECT owner_id, active
    FROM cmdb.owners
    QUALIFY row_number() OVER (PARTITION BY owner_id ORDER BY _batch_id, _record_no) = 1
),
-- Series that other systems report on CIs of this system.
reported_elsewhere AS (
    SELECT system, ci_id, metric, attributes, interval_s, if(unit_status = 'ok', unit, NULL) AS unit
    FROM firm.metric_instances
    WHERE system <> getvariable('system')
        AND metric IS NOT NULL
        AND ci_id IN (SELECT DISTINCT ci_id FROM dataset)
),
same_series AS (
    SELECT
        ci_id,
        metric,
        attributes,
        list(DISTINCT {'system': system, 'unit': unit}) FILTER (WHERE unit IS NOT NULL) AS units,
        list(DISTINCT {'system': system, 'interval_s': interval_s}) FILTER (WHERE interval_s IS NOT NULL) AS intervals
    FROM reported_elsewhere
    GROUP BY ALL
),
same_metric AS (
    SELECT ci_id, metric, list(DISTINCT {'system': system, 'keys': list_sort(json_keys(attributes))}) AS key_sets
    FROM reported_elsewhere
    GROUP BY ALL
),
conflicts AS (
    SELECT
        i._batch_id,
        i._record_no,
        list_sort(list_filter(s.units, lambda o: o.unit <> i.unit AND i.unit_status = 'ok')) AS units,
        list_sort(list_filter(s.intervals, lambda o: o.interval_s <> i.interval_s)) AS intervals,
        list_sort(list_filter(m.key_sets, lambda o: o.keys <> list_sort(json_keys(i.attributes)))) AS key_sets
    FROM dataset AS i
    JOIN same_metric AS m ON i.ci_id = m.ci_id AND i.metric = m.metric
    LEFT JOIN same_series AS s ON i.ci_id = s.ci_id AND i.metric = s.metric AND i.attributes = s.attributes
)
SELECT
    i.* EXCLUDE (expected_samples),
    d.source_metric AS definition,
    d.unit AS definition_unit,
    d.interval_s AS definition_interval_s,
    s.unit AS standard_unit,
    s.valid_min AS standard_min,
    s.valid_max AS standard_max,
    s.varies AS standard_varies,
    -- Instances of a retired metric are tolerated for the days of grace.
    CASE
        WHEN s.stability = 'deprecated' AND i.day > s.since + s.grace_days::INTEGER
        THEN 'deprecated since ' || s.since || coalesce('; use ' || s.renamed_to, '')
    END AS deprecated_in_use,
    CASE
        WHEN s.stability = 'withdrawn' AND i.day > s.since + s.grace_days::INTEGER
        THEN 'withdrawn since ' || s.since || coalesce('; use ' || s.renamed_to, '')
    END AS withdrawn_in_use,
    c.ci_class,
    c.status AS ci_status,
    c.owner_id AS ci_owner_id,
    o.active AS ci_owner_active,
    list_contains(s.ci_classes, c.ci_class) AS ci_class_fits,
    nullif(
        array_to_string(
            CASE
                WHEN len(s.required_attributes) > 0
                THEN list_filter(s.required_attributes, lambda a: NOT list_contains(json_keys(i.attributes), a))
            END,
            ', '
        ),
        ''
    ) AS missing_attributes,
    (epoch_us(getvariable('day_end')) - epoch_us(i.last_seen_at)) / 1e6 / nullif(i.interval_s, 0) AS staleness_intervals,
    CASE WHEN i.expected_samples >= 12 THEN i.sample_count / i.expected_samples END AS sample_share,
    CASE WHEN len(k.units) > 0 THEN k.units[1].system || ' reports ' || k.units[1].unit END AS unit_conflict,
    CASE WHEN len(k.intervals) > 0 THEN k.intervals[1].system || ' reports every ' || k.intervals[1].interval_s || ' s' END
        AS interval_conflict,
    CASE
        WHEN len(k.key_sets) > 0
        THEN k.key_sets[1].system || ' reports attributes [' || array_to_string(k.key_sets[1].keys, ', ') || ']'
    END AS attribute_conflict
FROM (
    SELECT
        *,
        -- Points that the interval promises between the first and the last point of the day.
        CASE
            WHEN first_seen_at IS NOT NULL AND last_seen_at IS NOT NULL
            THEN (
                least(epoch_us(last_seen_at), epoch_us(getvariable('day_end')))
                - greatest(epoch_us(first_seen_at), epoch_us(getvariable('day_start')))
            ) / 1e6 / nullif(interval_s, 0)
        END AS expected_samples
    FROM dataset
) AS i
LEFT JOIN definitions AS d ON i.source_metric = d.source_metric
LEFT JOIN control.standard_metrics AS s ON i.metric = s.metric
LEFT JOIN configuration_items AS c ON i.ci_id = c.ci_id
LEFT JOIN owners AS o ON c.owner_id = o.owner_id
LEFT JOIN conflicts AS k ON i._batch_id = k._batch_id AND i._record_no = k._record_no
