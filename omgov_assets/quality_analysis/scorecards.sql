-- Scorecards of a day: one row for each subject and quality dimension, and one for all dimensions together.
WITH dimensions AS (
    SELECT quality_dimension, coalesce(weight, 0) AS weight
    FROM (SELECT unnest($quality_dimensions::VARCHAR[]) AS quality_dimension)
    LEFT JOIN quality_dimension_weights USING (quality_dimension)
),

-- --- What is judged: rows by dataset, attributed to the subjects that they are of ----------------------------------------

listed AS (
    SELECT system, instance_id, ci_id, true AS is_today FROM instances
    UNION ALL
    SELECT system, instance_id, ci_id, false AS is_today FROM last_known_instances
),
repeated AS (
    SELECT instance_id FROM listed GROUP BY instance_id HAVING count(*) > 1
),
by_ci AS (
    SELECT system, 'metric_instances' AS dataset, ci_id, is_today, sum(n)::BIGINT AS n
    FROM (
        SELECT system, ci_id, is_today, count(*) AS n FROM listed GROUP BY ALL
        UNION ALL
        -- An instance that the system lists several times counts once.
        SELECT system, ci_id, is_today, count(DISTINCT instance_id) - count(*) AS n
        FROM listed
        SEMI JOIN repeated USING (instance_id)
        GROUP BY ALL
    )
    GROUP BY ALL
    UNION ALL
    SELECT $cmdb::VARCHAR AS system, 'configuration_items' AS dataset, ci_id, true AS is_today, 1 AS n
    FROM ci_dimensions
),
attributed AS (
    SELECT
        by_ci.*,
        application_ids,
        support_group_id,
        owner_id,
        site_id
    FROM by_ci
    LEFT JOIN ci_dimensions USING (ci_id)
),
units AS (
    SELECT subject_kind, subject_key, system, dataset,
        coalesce(sum(n) FILTER (is_today), 0)::BIGINT AS n,
        sum(n)::BIGINT AS known
    FROM (
        SELECT
            unnest(subjects_of(system, support_group_id, owner_id, site_id, application_ids), recursive := true),
            system, dataset, is_today, n
        FROM attributed
    )
    GROUP BY ALL
),
policies AS (
    SELECT
        system,
        dataset,
        quality_dimension,
        count(*) AS policies,
        count(*) FILTER (verdict IN ('not_evaluated', 'error')) AS unjudged,
        list_sort(list(policy_id) FILTER (verdict IN ('passed', 'failed'))) AS judging,
        -- Rows of datasets that have no CI are those that a policy looked at.
        coalesce(max(evaluated) FILTER (verdict IN ('passed', 'failed')), 0) AS evaluated,
        coalesce(max(max(evaluated) FILTER (verdict IN ('passed', 'failed'))) OVER (PARTITION BY system, dataset), 0) AS known
    FROM check_results
    GROUP BY system, dataset, quality_dimension
),
judged_before AS (
    SELECT system, dataset, quality_dimension, list_sort(list(policy_id) FILTER (verdict IN ('passed', 'failed'))) AS judging
    FROM previous_check_results
    GROUP BY ALL
),
-- Datasets by whether the same policies judged a quality dimension on both days: only then its scores can be compared.
comparable AS (
    SELECT
        system, dataset, quality_dimension,
        p.judging IS NOT DISTINCT FROM b.judging AS is_comparable
    FROM policies AS p
    FULL JOIN judged_before AS b USING (system, dataset, quality_dimension)
),
incomparable AS (
    SELECT DISTINCT subject_kind, subject_key, quality_dimension
    FROM (
        SELECT subject_kind, subject_key, quality_dimension
        FROM units
        JOIN comparable USING (system, dataset)
        WHERE NOT is_comparable
        UNION ALL
        SELECT unnest(subjects_of(system, NULL, NULL, NULL, NULL), recursive := true), quality_dimension
        FROM comparable
        WHERE NOT is_comparable
    )
),
by_row AS (
    -- Rows of a CI, and those of other datasets for the firm and their system.
    SELECT
        subject_kind, subject_key, quality_dimension, system, dataset, policies, unjudged, units.known,
        CASE WHEN policies > unjudged THEN n ELSE 0 END AS n
    FROM units
    JOIN policies USING (system, dataset)
    UNION ALL
    SELECT
        unnest(subjects_of(system, NULL, NULL, NULL, NULL), recursive := true),
        quality_dimension, system, dataset, policies, unjudged, known, evaluated AS n
    FROM policies
    -- The points of a series are no subjects; the series is.
    WHERE dataset <> 'metric_samples'
        AND NOT (dataset = 'metric_instances' AND system IN (SELECT system FROM listed))
        AND NOT (dataset = 'configuration_items' AND system = $cmdb AND EXISTS (FROM ci_dimensions))
),

-- --- What the baseline expects --------------------------------------------------------------------------------------------

expected AS (
    SELECT DISTINCT c.ci_id, b.metric
    FROM (
        SELECT ci_id, ci_class, status, tier
        FROM configuration_items
        QUALIFY row_number() OVER (PARTITION BY ci_id ORDER BY _batch_id, _record_no) = 1
    ) AS c
    JOIN baseline_metrics AS b ON b.ci_class = c.ci_class AND (b.tier IS NULL OR b.tier = c.tier)
    WHERE c.status = 'in_use'
),
reporting AS (
    SELECT DISTINCT system, ci_id FROM by_ci WHERE dataset = 'metric_instances'
),
judging AS (
    -- Who judges whether anything is missing of a CI: the systems that report of it, the CMDB where none does.
    SELECT system, dataset FROM policies WHERE quality_dimension = 'coverage' AND policies > unjudged
),
expected_by_ci AS (
    SELECT
        ci_id,
        count(*) AS n,
        any_value(application_ids) AS application_ids,
        any_value(support_group_id) AS support_group_id,
        any_value(owner_id) AS owner_id,
        any_value(site_id) AS site_id,
        CASE
            WHEN ci_id IN (SELECT ci_id FROM reporting)
            THEN ci_id IN (
                SELECT reporting.ci_id
                FROM reporting
                JOIN judging ON judging.system = reporting.system AND judging.dataset = 'metric_instances'
            )
            ELSE ($cmdb, 'configuration_items') IN (SELECT (system, dataset) FROM judging)
        END AS is_judged
    FROM expected
    JOIN ci_dimensions USING (ci_id)
    GROUP BY ci_id
),
expected_units AS (
    SELECT subject_kind, subject_key, sum(n)::BIGINT AS expected
    FROM (
        SELECT subject_kind, subject_key, n
        FROM (
            SELECT unnest(subjects_of(NULL, support_group_id, owner_id, site_id, application_ids), recursive := true), n
            FROM expected_by_ci
            WHERE is_judged
        )
        UNION ALL
        -- A CI is of each system that reports anything of it, and of the CMDB, which misses those of which nobody does.
        SELECT 'system', reporting.system, n
        FROM expected_by_ci
        JOIN reporting USING (ci_id)
        JOIN judging ON judging.system = reporting.system AND judging.dataset = 'metric_instances'
        UNION ALL
        SELECT 'system', $cmdb::VARCHAR, n
        FROM expected_by_ci
        WHERE ($cmdb, 'configuration_items') IN (SELECT (system, dataset) FROM judging)
    )
    GROUP BY ALL
),

-- --- What is wrong with it ------------------------------------------------------------------------------------------------

subjects AS (
    SELECT
        anomalies.system,
        dataset,
        quality_dimension,
        subject_kind = 'expected_instance' AS is_expected,
        -- An instance that the baseline expects is the same whichever system misses it.
        CASE WHEN subject_kind = 'expected_instance' THEN subject_key
            ELSE concat_ws(chr(31), anomalies.system, dataset, subject_key) END AS subject,
        severity_weights.weight,
        dataset IN ('metric_instances', 'configuration_items') AS has_ci,
        -- Only what has a CI is anybody's but its system's.
        CASE WHEN has_ci THEN application_ids END AS application_ids,
        CASE WHEN has_ci THEN support_group_id END AS support_group_id,
        CASE WHEN has_ci THEN owner_id END AS owner_id,
        CASE WHEN has_ci THEN site_id END AS site_id
    FROM anomalies
    JOIN severity_weights USING (severity)
    WHERE (subject_kind = 'expected_instance' AND quality_dimension = 'coverage')
        -- A refused record is no row of the lake: no policy has judged it there.
        OR (
            subject_kind = 'row'
            AND dataset <> 'metric_samples'
            -- Coverage of what has a CI is judged of what is expected, and its rows are there.
            AND NOT (quality_dimension = 'coverage' AND dataset IN ('metric_instances', 'configuration_items'))
            AND (dataset <> 'metric_instances' OR ci_id IS NOT NULL)
            AND list_has_any(policy_ids, (SELECT coalesce(list(DISTINCT policy_id), []) FROM check_results))
        )
),
attributed_subjects AS (
    SELECT
        unnest(subjects_of(system, support_group_id, owner_id, site_id, application_ids), recursive := true),
        quality_dimension, dense_rank() OVER (ORDER BY subject) AS subject_no, weight, is_expected
    FROM subjects
),
flagged AS (
    SELECT
        subject_kind, subject_key, quality_dimension,
        sum(weight) AS penalty,
        count(*) AS anomalous,
        count(*) FILTER (is_expected) AS missing
    FROM (
        SELECT subject_kind, subject_key, quality_dimension, subject_no, max(weight) AS weight, bool_or(is_expected) AS is_expected
        FROM attributed_subjects
        GROUP BY ALL
    )
    GROUP BY ALL
),
flagged_overall AS (
    SELECT subject_kind, subject_key, count(DISTINCT subject_no) AS anomalous
    FROM attributed_subjects
    GROUP BY ALL
),

-- --- What came, stayed and went -------------------------------------------------------------------------------------------

facts AS (
    SELECT quality_dimension, system, support_group_id, owner_id, site_id, application_ids,
        'present' AS outcome, first_seen_day = day AS is_new, NULL AS days_to_repair
    FROM anomalies
    UNION ALL BY NAME
    SELECT quality_dimension, system, support_group_id, owner_id, site_id, application_ids, outcome, false AS is_new,
        CASE WHEN outcome = 'resolved' THEN datediff('day', first_seen_day, $day::DATE) END AS days_to_repair
    FROM outcomes
    UNION ALL BY NAME
    SELECT quality_dimension, system, support_group_id, owner_id, site_id, application_ids, 'before' AS outcome,
        false AS is_new, NULL AS days_to_repair
    FROM previous_anomalies
),
summed AS (
    -- First by all that can be a subject: the facts are many, their combinations few.
    SELECT quality_dimension, system, support_group_id, owner_id, site_id, application_ids,
        count(*) FILTER (outcome = 'present') AS anomalies,
        count(*) FILTER (outcome = 'present' AND NOT is_new) AS backlog,
        count(*) FILTER (is_new) AS new_anomalies,
        count(*) FILTER (outcome = 'resolved') AS resolved_anomalies,
        count(*) FILTER (outcome = 'withdrawn') AS withdrawn_anomalies,
        count(*) FILTER (outcome = 'unverified') AS unverified_anomalies,
        count(*) FILTER (outcome = 'before') AS anomalies_before,
        coalesce(sum(days_to_repair), 0)::BIGINT AS days_to_repair
    FROM facts
    GROUP BY ALL
),
moved AS (
    SELECT
        subject_kind, subject_key,
        CASE WHEN GROUPING(quality_dimension) = 0 THEN quality_dimension ELSE 'overall' END AS quality_dimension,
        sum(anomalies)::BIGINT AS anomalies, sum(backlog)::BIGINT AS backlog, sum(new_anomalies)::BIGINT AS new_anomalies,
        sum(resolved_anomalies)::BIGINT AS resolved_anomalies, sum(withdrawn_anomalies)::BIGINT AS withdrawn_anomalies,
        sum(unverified_anomalies)::BIGINT AS unverified_anomalies, sum(anomalies_before)::BIGINT AS anomalies_before,
        sum(days_to_repair)::BIGINT AS days_to_repair
    FROM (
        SELECT unnest(subjects_of(system, support_group_id, owner_id, site_id, application_ids), recursive := true), *
        FROM summed
    )
    GROUP BY GROUPING SETS ((subject_kind, subject_key), (subject_kind, subject_key, quality_dimension))
),

-- --- One row for each subject and dimension -------------------------------------------------------------------------------

all_subjects AS (
    SELECT subject_kind, subject_key FROM by_row
    UNION SELECT subject_kind, subject_key FROM units
    UNION SELECT subject_kind, subject_key FROM moved
    UNION SELECT 'firm', 'all'
    UNION SELECT 'system', unnest($systems::VARCHAR[])
    -- Without a CMDB nothing is known of whose anything is, which does not make its subjects go away.
    UNION SELECT subject_kind, subject_key FROM previous_scorecards WHERE NOT EXISTS (FROM ci_dimensions)
),
judged AS (
    SELECT
        subject_kind, subject_key, quality_dimension,
        -- Coverage is judged of what is expected, not of what is there.
        coalesce(sum(n) FILTER (
            quality_dimension <> 'coverage' OR dataset NOT IN ('metric_instances', 'configuration_items')
        ), 0)::BIGINT AS n,
        bool_or(policies > unjudged) AS is_judged,
        bool_or(policies > unjudged AND dataset IN ('metric_instances', 'configuration_items')) AS is_expectation_judged,
        sum(known * unjudged) AS unjudged_pairs,
        sum(known * policies) AS pairs
    FROM by_row
    GROUP BY ALL
),
scored AS (
    SELECT
        s.subject_kind, s.subject_key, d.quality_dimension, d.weight AS dimension_weight,
        coalesce(j.n, 0) + CASE WHEN d.quality_dimension = 'coverage' AND j.is_expectation_judged
            THEN coalesce(e.expected, 0) ELSE 0 END AS subjects,
        coalesce(f.anomalous, 0) AS anomalous,
        coalesce(f.penalty, 0) AS penalty,
        j.is_judged,
        j.pairs, j.unjudged_pairs,
        CASE WHEN d.quality_dimension = 'coverage' AND j.is_expectation_judged THEN coalesce(e.expected, 0) END AS expected,
        CASE WHEN d.quality_dimension = 'coverage' AND j.is_expectation_judged THEN coalesce(f.missing, 0) END AS missing
    FROM all_subjects AS s
    CROSS JOIN dimensions AS d
    LEFT JOIN judged AS j
        ON j.subject_kind = s.subject_kind AND j.subject_key = s.subject_key AND j.quality_dimension = d.quality_dimension
    LEFT JOIN expected_units AS e ON e.subject_kind = s.subject_kind AND e.subject_key = s.subject_key
    LEFT JOIN flagged AS f
        ON f.subject_kind = s.subject_kind AND f.subject_key = s.subject_key AND f.quality_dimension = d.quality_dimension
),
decided AS (
    SELECT
        *,
        CASE
            WHEN is_judged IS NOT NULL AND NOT is_judged THEN 'not_evaluated'
            WHEN subject_kind NOT IN ('firm', 'system') AND NOT EXISTS (FROM ci_dimensions) THEN 'not_evaluated'
            WHEN subjects = 0 THEN 'no_subjects'
            WHEN subjects < $minimum_subjects::BIGINT THEN 'too_few'
            ELSE 'scored'
        END AS status,
        CASE
            WHEN subjects >= $minimum_subjects::BIGINT AND is_judged
            THEN greatest(0, 100 * (1 - penalty::DOUBLE / subjects))
        END AS score
    FROM scored
),
overall AS (
    SELECT
        d.subject_kind, d.subject_key, 'overall' AS quality_dimension,
        -- Without any score, the reason that says most.
        ['scored', 'not_evaluated', 'too_few', 'no_subjects'][
            min(list_position(
                ['scored', 'not_evaluated', 'too_few', 'no_subjects'],
                CASE WHEN status = 'scored' AND dimension_weight = 0 THEN 'no_subjects' ELSE status END
            ))
        ] AS status,
        -- In the order of the dimensions, so that the last digits are the same every time.
        CASE WHEN sum(dimension_weight) FILTER (status = 'scored') > 0 THEN
            list_sum(list(score * dimension_weight::DOUBLE ORDER BY d.quality_dimension) FILTER (status = 'scored'))
            / sum(dimension_weight) FILTER (status = 'scored')::DOUBLE
        END AS score,
        -- What is expected is not among the rows that are there.
        coalesce(max(subjects) FILTER (d.quality_dimension <> 'coverage' OR expected IS NULL), 0) + coalesce(max(expected), 0)
            AS subjects,
        any_value(coalesce(f.anomalous, 0)) AS anomalous,
        sum(pairs) AS pairs, sum(unjudged_pairs) AS unjudged_pairs,
        max(expected) AS expected, max(missing) AS missing
    FROM decided AS d
    LEFT JOIN flagged_overall AS f USING (subject_kind, subject_key)
    GROUP BY d.subject_kind, d.subject_key
),
rows AS (
    SELECT subject_kind, subject_key, quality_dimension, status, score, subjects, anomalous, pairs, unjudged_pairs, expected, missing
    FROM decided
    UNION ALL BY NAME
    FROM overall
),
history AS (
    SELECT subject_kind, subject_key, quality_dimension, sum(days_to_repair) AS days_to_repair, sum(resolved_anomalies) AS resolved
    FROM earlier_scorecards
    GROUP BY ALL
),
present AS (
    SELECT subject_kind, subject_key, sum(n)::BIGINT AS instances
    FROM units
    WHERE dataset = 'metric_instances'
    GROUP BY ALL
)
SELECT
    $day::DATE AS day,
    r.subject_kind,
    r.subject_key,
    coalesce(labels.label, r.subject_key) AS label,
    r.quality_dimension,
    r.status,
    r.score,
    p.score AS previous_score,
    -- Where something else was judged than the day before, the difference says nothing.
    CASE WHEN (r.subject_kind, r.subject_key, r.quality_dimension) NOT IN (
        SELECT (subject_kind, subject_key, quality_dimension) FROM incomparable
        UNION ALL
        SELECT (subject_kind, subject_key, 'overall')
        FROM incomparable
        JOIN dimensions USING (quality_dimension)
        WHERE dimensions.weight > 0
    ) THEN r.score - p.score END AS change,
    r.subjects,
    r.anomalous AS anomalous_subjects,
    r.unjudged_pairs / nullif(r.pairs, 0) AS not_evaluated_share,
    coalesce(present.instances, 0) AS instances,
    coalesce(m.anomalies, 0) AS anomalies,
    coalesce(m.backlog, 0) AS backlog,
    coalesce(m.new_anomalies, 0) AS new_anomalies,
    coalesce(m.resolved_anomalies, 0) AS resolved_anomalies,
    coalesce(m.withdrawn_anomalies, 0) AS withdrawn_anomalies,
    coalesce(m.unverified_anomalies, 0) AS unverified_anomalies,
    m.resolved_anomalies / nullif(m.anomalies_before, 0) AS burn_down_rate,
    coalesce(m.new_anomalies, 0) / nullif(r.subjects, 0) AS new_defect_rate,
    coalesce(m.days_to_repair, 0) AS days_to_repair,
    (coalesce(m.days_to_repair, 0) + coalesce(h.days_to_repair, 0))
        / nullif(coalesce(m.resolved_anomalies, 0) + coalesce(h.resolved, 0), 0) AS mean_days_to_repair,
    r.expected AS baseline_expected,
    r.missing AS baseline_missing,
    1 - r.missing / nullif(r.expected, 0) AS baseline_covered_share,
    $policy_hash::VARCHAR AS policy_hash,
    $data_versions::VARCHAR AS data_versions
FROM rows AS r
LEFT JOIN moved AS m USING (subject_kind, subject_key, quality_dimension)
LEFT JOIN previous_scorecards AS p USING (subject_kind, subject_key, quality_dimension)
LEFT JOIN history AS h USING (subject_kind, subject_key, quality_dimension)
LEFT JOIN present ON present.subject_kind = r.subject_kind AND present.subject_key = r.subject_key
-- Owners' names are personal data and stay in the CMDB.
LEFT JOIN labels ON labels.kind = r.subject_kind AND labels.key = r.subject_key AND r.subject_kind <> 'owner'
