-- What policies on host_overrides see beside the row itself: whether any node definition claims the host. A definition is a
-- regular expression on the full name, so each name is tried with the domains of all sites; `default` claims every name and
-- hence says nothing.
WITH domains AS (
    SELECT DISTINCT site_id || '.wmnet' AS domain FROM own.known_hosts WHERE site_id IS NOT NULL
    UNION ALL
    SELECT 'wikimedia.org' AS domain
),
names AS (
    SELECT o.ci_id, string_agg(o.ci_id || '.' || d.domain, chr(10)) AS names
    FROM (SELECT DISTINCT ci_id FROM dataset) AS o
    CROSS JOIN domains AS d
    GROUP BY o.ci_id
),
selectors AS (
    SELECT DISTINCT '(?m)' || trim(node_selector, '/') AS pattern
    FROM own.node_definitions
    WHERE starts_with(node_selector, '/')
),
claimed AS (
    SELECT DISTINCT n.ci_id
    FROM names AS n
    JOIN selectors AS s ON regexp_matches(n.names, s.pattern)
)
SELECT
    o.*,
    o.ci_id IN (SELECT ci_id FROM claimed) AS is_claimed
FROM dataset AS o
