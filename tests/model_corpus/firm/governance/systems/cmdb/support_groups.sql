/* ---
kind: conform
dataset: support_groups
version: 1.0.0
owner: data-engineering@example.com
description: The CMDB speaks the standard; only the day of the snapshot is left out.
--- */
SELECT
    support_group_id,
    "name",
    manager_id,
    email,
    _batch_id,
    _record_no
FROM source
