-- The cases that the night opens, each with who answers for it: whoever answers for more than half of its anomalies, else the
-- data engineer of the business system that has most of them, since what they have in common is nobody's CI, else the
-- governance office.
WITH found AS (
    SELECT * FROM arriving WHERE is_of_new_case
),
shares AS (
    SELECT
        case_id,
        responsible,
        min(responsible_kind) AS responsible_kind,
        count(*) AS anomalies,
        sum(count(*)) OVER (PARTITION BY case_id) AS anomalies_of_case
    FROM found
    GROUP BY case_id, responsible
),
majorities AS (
    SELECT * FROM shares WHERE 2 * anomalies > anomalies_of_case
),
systems AS (
    SELECT case_id, nullif(any_value(engineers.email), '') AS engineer
    FROM found
    LEFT JOIN engineers USING (system)
    GROUP BY case_id, system
    QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY count(*) DESC, system) = 1
)
SELECT DISTINCT ON (found.case_id)
    found.case_id,
    found.cause_id,
    root_causes.conditions AS cause,
    found.anomaly_type,
    found.scope,
    CASE
        WHEN majorities.case_id IS NOT NULL THEN majorities.responsible_kind
        WHEN engineer IS NOT NULL THEN 'data_engineer'
        ELSE 'governance_office'
    END AS responsible_kind,
    coalesce(majorities.responsible, engineer, $office) AS responsible
FROM found
JOIN systems ON systems.case_id = found.case_id
LEFT JOIN majorities ON majorities.case_id = found.case_id
LEFT JOIN root_causes ON root_causes.cause_id = found.cause_id
ORDER BY found.case_id
