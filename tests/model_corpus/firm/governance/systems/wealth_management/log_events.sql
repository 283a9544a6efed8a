/* ---
kind: conform
dataset: log_events
version: 1.0.0
owner: wealth-operations@example.com
description: One-letter levels and pairs joined by a pipe to the standard.
units: {duration: ms}
--- */
WITH pairs AS (
    SELECT *, list_filter(string_split(coalesce(KV, ''), '|'), lambda pair: strpos(pair, '=') > 1) AS kvs
    FROM source
)
SELECT
    'WM-' || CAST(LOG_NO AS VARCHAR) AS log_id,
    APP_NO AS ci_id,
    LOG_TS AT TIME ZONE 'Asia/Shanghai' AS logged_at,
    coalesce(MAP {'D': 'debug', 'I': 'info', 'W': 'warn', 'E': 'error', 'F': 'fatal'}[LVL], 'info') AS severity,
    regexp_extract(CLS, '([^.]+)$', 1) AS logger,
    NULL::VARCHAR AS trace_id,
    COST_MS AS duration,
    OUT_BYTES AS bytes_sent,
    map(
        list_transform(kvs, lambda pair: split_part(pair, '=', 1)),
        list_transform(kvs, lambda pair: split_part(pair, '=', 2))
    ) AS fields,
    TXT AS "message",
    _batch_id,
    _record_no
FROM pairs
