/* ---
kind: conform
dataset: host_rack
version: 1.0.0
owner: data-engineering@example.com
description: Rack settings; hosts are recorded with or without domain, the CI is the name without.
--- */
SELECT
    split_part(host, '.', 1) AS ci_id,
    host AS recorded_host,
    source_key,
    rack,
    source,
    _batch_id,
    _record_no
FROM source
