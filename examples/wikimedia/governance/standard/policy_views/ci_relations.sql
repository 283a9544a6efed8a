-- What policies on ci_relations see beside the row itself: the CI at its end.
WITH hosts AS (
    SELECT ci_id, any_value(roles) AS roles
    FROM own.known_hosts
    GROUP BY ci_id
)
SELECT
    r.*,
    h.ci_id AS known_host,
    h.roles AS host_roles
FROM dataset AS r
LEFT JOIN hosts AS h ON r.target_ci_id = h.ci_id
