/* ---
kind: conform
dataset: persons
version: 1.0.0
owner: data-engineering@example.com
description: Accounts under the names of the standard.
--- */
SELECT
    login AS owner_id,
    kind,
    ensure,
    uid,
    gid,
    has_email,
    expiry_date,
    has_expiry_contact,
    _batch_id,
    _record_no
FROM source
