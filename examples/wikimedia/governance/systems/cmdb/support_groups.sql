/* ---
kind: conform
dataset: support_groups
version: 1.0.0
owner: data-engineering@example.com
description: Administrative groups are the support groups; the source names no manager and no mailbox.
--- */
SELECT
    "group" AS support_group_id,
    "group" AS name,
    NULL::VARCHAR AS manager_id,
    NULL::VARCHAR AS email,
    _batch_id,
    _record_no
FROM source
