-- What policies on semantic_conventions see beside the row itself: the metric that succeeds a deprecated one.
WITH successors AS (
    SELECT source_metric, any_value(unit) AS unit
    FROM dataset
    GROUP BY source_metric
),
named AS (
    SELECT *, json_extract_string(deprecation, '$.renamed_to') AS successor
    FROM dataset
)
SELECT
    c.*,
    s.source_metric AS known_successor,
    s.unit AS successor_unit
FROM named AS c
LEFT JOIN successors AS s ON c.successor = s.source_metric
