-- What policies on known_hosts see beside the row itself: a name that ends with the site instead of the domain, how many
-- racks the settings say the host stands in, and the owner that the role has at the host's site alone.
WITH racks AS (
    SELECT ci_id, count(DISTINCT rack) AS racks_recorded
    FROM own.host_rack
    GROUP BY ci_id
),
owners_at_site AS (
    SELECT scope, role, min(owner_teams) AS owner_teams
    FROM own.roles
    WHERE owner_teams IS NOT NULL
    GROUP BY scope, role
)
SELECT
    h.*,
    if(regexp_matches(h.fqdn, '\.(wmnet|wikimedia\.org)$'), NULL, h.fqdn) AS cut_name,
    coalesce(r.racks_recorded, 0) AS racks_recorded,
    if(h.owner_teams IS NULL, o.owner_teams, NULL) AS owner_at_site
FROM dataset AS h
LEFT JOIN racks AS r ON h.ci_id = r.ci_id
LEFT JOIN owners_at_site AS o ON h.site_id = o.scope AND h.roles = o.role
