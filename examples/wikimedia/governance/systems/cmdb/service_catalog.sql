/* ---
kind: conform
dataset: service_catalog
version: 1.0.0
owner: data-engineering@example.com
description: Services as delivered.
--- */
SELECT
    service,
    description,
    state,
    port,
    encryption,
    sites,
    ips,
    lvs_class,
    conftool_cluster,
    conftool_service,
    page,
    role,
    discovery,
    aliases,
    _batch_id,
    _record_no
FROM source
