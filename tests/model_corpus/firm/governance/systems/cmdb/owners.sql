/* ---
kind: conform
dataset: owners
version: 1.0.0
owner: data-engineering@example.com
description: The CMDB speaks the standard; only the day of the snapshot is left out.
--- */
SELECT
    owner_id,
    "name",
    email,
    phone,
    active,
    support_group_id,
    _batch_id,
    _record_no
FROM source
