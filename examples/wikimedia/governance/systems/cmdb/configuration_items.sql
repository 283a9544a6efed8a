/* ---
kind: conform
dataset: configuration_items
version: 1.0.0
owner: data-engineering@example.com
description: Each known host is a CI; a team owns it, and its one administrative group supports it.
--- */
-- In this estate the accountable party is a team; joint owners stay joined by semicolons.
SELECT
    host AS ci_id,
    'host' AS ci_class,
    coalesce(fqdn, host) AS name,
    if(starts_with(roles, 'insetup'), 'planned', 'in_use') AS status,
    site_guess AS site_id,
    rack,
    -- Several groups name no one group; all of them stay in known_hosts.
    if(contains(admin_groups, ';'), NULL, admin_groups) AS support_group_id,
    owner_teams AS owner_id,
    NULL::BIGINT AS tier,
    NULL::VARCHAR AS ip_address,
    _batch_id,
    _record_no
FROM source
