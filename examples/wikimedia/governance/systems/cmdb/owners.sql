/* ---
kind: conform
dataset: owners
version: 1.0.0
owner: data-engineering@example.com
description: Persons with an account; the pseudonym stands for the name, and group_members says their groups.
--- */
SELECT
    login AS owner_id,
    login AS name,
    NULL::VARCHAR AS email,
    NULL::VARCHAR AS phone,
    ensure = 'present' AS active,
    NULL::VARCHAR AS support_group_id,
    _batch_id,
    _record_no
FROM source
