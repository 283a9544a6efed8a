/* ---
kind: conform
dataset: roles
version: 1.0.0
owner: data-engineering@example.com
description: Roles as delivered.
--- */
SELECT
    scope,
    role,
    description,
    owner_teams,
    cluster,
    admin_groups,
    notifications_enabled,
    _batch_id,
    _record_no
FROM source
