/* ---
kind: conform
dataset: log_events
version: 1.1.0
owner: wang.lei@example.com
description: The head of a record (severity, component, trace) taken apart; seconds and KiB to the standard's units.
units: {duration: ms, bytes_sent: By}
--- */
WITH head AS (
    SELECT
        * EXCLUDE (头部, _record_no),
        CAST(regexp_extract(日志编号, '[0-9]+$') AS BIGINT) AS line_no,
        regexp_extract(头部, '^([A-Z]+)?\s*(?:\[(\w+)\])?\s*(?:trace=([0-9a-f]+))?', ['severity', 'logger', 'trace']) AS h
    FROM source
)
SELECT
    日志编号 AS log_id,
    系统编号 AS ci_id,
    strptime(记录时间, '%d/%b/%Y:%H:%M:%S.%g') AT TIME ZONE 'Asia/Shanghai' AS logged_at,
    CASE h.severity
        WHEN 'FATAL' THEN 'fatal'
        WHEN 'ERROR' THEN 'error'
        WHEN 'WARN' THEN 'warn'
        WHEN 'DEBUG' THEN 'debug'
        ELSE 'info'
    END AS severity,
    nullif(h.logger, '') AS logger,
    nullif(h.trace, '') AS trace_id,
    耗时 * 1000 AS duration,
    发送量 * 1024 AS bytes_sent,
    coalesce(TRY_CAST(TRY_CAST(扩展字段 AS JSON) AS MAP(VARCHAR, VARCHAR)), MAP {}::MAP(VARCHAR, VARCHAR)) AS fields,
    正文 AS "message",
    _batch_id,
    line_no AS _record_no
FROM head
