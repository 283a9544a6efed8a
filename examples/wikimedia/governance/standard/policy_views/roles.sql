-- What policies on roles see beside the row itself. Settings in scope common hold everywhere, others at one site; one row
-- speaks for each role that a host has: that of scope common, or the first site's where there is none.
WITH in_use AS (
    SELECT DISTINCT unnest(string_split(roles, ';')) AS role
    FROM own.known_hosts
    WHERE roles IS NOT NULL
),
everywhere AS (
    SELECT role, min(owner_teams) AS owner_teams, min(description) AS description
    FROM dataset
    WHERE scope = 'common'
    GROUP BY role
),
teams AS (
    SELECT DISTINCT unnest(string_split(owner_teams, ';')) AS team
    FROM everywhere
    WHERE owner_teams IS NOT NULL
),
named_owners AS (
    SELECT _batch_id, _record_no, unnest(string_split(owner_teams, ';')) AS owner
    FROM dataset
    WHERE owner_teams IS NOT NULL
),
owners AS (
    SELECT
        _batch_id,
        _record_no,
        count(*) AS owner_count,
        string_agg(owner, ';' ORDER BY owner) FILTER (WHERE owner NOT IN (SELECT team FROM teams)) AS unknown_owners
    FROM named_owners
    GROUP BY _batch_id, _record_no
)
SELECT
    r.*,
    r.role IN (SELECT role FROM in_use)
    AND row_number() OVER (PARTITION BY r.role ORDER BY r.scope <> 'common', r.scope, r._record_no) = 1 AS speaks_for_role,
    e.owner_teams AS owner_everywhere,
    e.description AS description_everywhere,
    o.owner_count,
    o.unknown_owners
FROM dataset AS r
LEFT JOIN everywhere AS e ON r.role = e.role
LEFT JOIN owners AS o ON r._batch_id = o._batch_id AND r._record_no = o._record_no
