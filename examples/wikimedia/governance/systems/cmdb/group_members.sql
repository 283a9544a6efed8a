/* ---
kind: conform
dataset: group_members
version: 1.0.0
owner: data-engineering@example.com
description: Memberships under the names of the standard.
--- */
SELECT
    "group" AS support_group_id,
    login AS owner_id,
    _batch_id,
    _record_no
FROM source
