-- What the causes found mean for people: how many anomalies, since when, of whom, and what was there the day before.
WITH members AS (
    SELECT assigned.cause_id, anomalies.*
    FROM assigned
    JOIN anomalies USING (anomaly_id)
    WHERE assigned.cause_id IS NOT NULL
),
counted AS (
    SELECT
        cause_id,
        count(*) AS anomalies,
        count(DISTINCT (system, dataset, subject_key)) AS anomalous_subjects,
        ['critical', 'warning', 'info'][min(list_position(['critical', 'warning', 'info'], severity))] AS severity,
        count(*) FILTER (first_seen_day = day) AS new_anomalies,
        count(DISTINCT ci_id) AS cis
    FROM members
    GROUP BY cause_id
),
-- Which key has how many of a cause's anomalies, the greatest first; ties fall in the order of the keys.
ranked AS (
    SELECT cause_id, kind, list(key ORDER BY anomalies DESC, key) AS keys
    FROM (
        SELECT cause_id, 'type' AS kind, anomaly_type AS key, count(*) AS anomalies FROM members GROUP BY ALL
        UNION ALL
        SELECT cause_id, 'group' AS kind, support_group_id AS key, count(*) AS anomalies FROM members GROUP BY ALL
        UNION ALL
        SELECT cause_id, 'owner' AS kind, owner_id AS key, count(*) AS anomalies FROM members GROUP BY ALL
        UNION ALL
        SELECT cause_id, 'day' AS kind, first_seen_day::VARCHAR AS key, count(*) AS anomalies FROM members GROUP BY ALL
    )
    WHERE key IS NOT NULL
    GROUP BY cause_id, kind
),
listed AS (
    SELECT
        cause_id,
        any_value(keys) FILTER (kind = 'type') AS anomaly_types,
        any_value(keys) FILTER (kind = 'group') AS support_group_ids,
        any_value(keys) FILTER (kind = 'owner') AS owner_ids,
        any_value(keys) FILTER (kind = 'day') AS first_seen_days
    FROM ranked
    GROUP BY cause_id
),
applied AS (
    SELECT cause_id, count(DISTINCT application_id) AS applications
    FROM (SELECT cause_id, unnest(application_ids) AS application_id FROM members)
    GROUP BY cause_id
),
total AS (
    SELECT count(*) AS anomalies FROM anomalies
)
SELECT
    $day::DATE AS day,
    cause_id,
    row_number() OVER (ORDER BY counted.anomalies * (1 - 1 / found.lift) DESC, found.score DESC, cause_id) AS rank,
    found.conditions,
    listed.anomaly_types,
    found.depth,
    found.dataset,
    found.subject_kind,
    counted.anomalies,
    counted.anomalous_subjects,
    found.matching_anomalies,
    found.subjects,
    found.support,
    counted.anomalies / total.anomalies AS coverage,
    found.matching_anomalies / nullif(found.subjects, 0) AS rate,
    found.expected_anomalies,
    found.lift,
    found.score,
    counted.severity,
    listed.first_seen_days[1]::DATE AS since,
    counted.new_anomalies,
    CASE WHEN $compared THEN coalesce(previous.anomalies, 0) END AS previous_anomalies,
    coalesce(previous.first_found_day, $day::DATE) AS first_found_day,
    counted.cis,
    coalesce(applied.applications, 0) AS applications,
    coalesce(listed.support_group_ids[:10], []::VARCHAR[]) AS support_group_ids,
    coalesce(listed.owner_ids[:10], []::VARCHAR[]) AS owner_ids,
    $rules_hash::VARCHAR AS rules_hash,
    $data_versions::VARCHAR AS data_versions
FROM found
JOIN counted USING (cause_id)
JOIN listed USING (cause_id)
LEFT JOIN applied USING (cause_id)
LEFT JOIN previous USING (cause_id)
CROSS JOIN total
ORDER BY rank
