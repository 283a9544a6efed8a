/* ---
kind: conform
dataset: host_overrides
version: 1.0.0
owner: data-engineering@example.com
description: Settings of single hosts under the names of the standard.
--- */
SELECT
    host AS ci_id,
    cluster,
    admin_groups,
    notifications_enabled,
    n_keys,
    _batch_id,
    _record_no
FROM source
