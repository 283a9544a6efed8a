/* ---
kind: conform
dataset: known_hosts
version: 1.0.0
owner: data-engineering@example.com
description: Known hosts under the names of the standard.
--- */
SELECT
    host AS ci_id,
    fqdn,
    site_guess AS site_id,
    roles,
    owner_teams,
    cluster,
    admin_groups,
    rack,
    pool_memberships,
    evidence,
    _batch_id,
    _record_no
FROM source
