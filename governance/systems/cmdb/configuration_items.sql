/* ---
kind: conform
dataset: configuration_items
version: 1.1.0
owner: data-engineering@example.com
description: The CMDB speaks the standard; only the day of the snapshot is left out.
--- */
SELECT
    ci_id,
    ci_class,
    "name",
    status,
    site_id,
    rack,
    support_group_id,
    owner_id,
    tier,
    ip_address,
    subnet,
    agent_version,
    _batch_id,
    _record_no
FROM source
