/* ---
kind: conform
dataset: change_tickets
version: 1.0.0
owner: data-engineering@example.com
description: The ticket's JSON text and its window in minutes to the standard.
--- */
WITH parsed AS (
    SELECT
        number,
        CAST(ticket AS JSON) AS body,
        strptime(window_start, '%Y-%m-%d %H:%M') AS begun,
        to_minutes(window_minutes) AS window_length,
        requester,
        _batch_id,
        _record_no
    FROM source
)
SELECT
    number AS change_id,
    coalesce(body ->> '$.ci', 'unknown') AS ci_id,
    CASE lower(body ->> '$.type') WHEN 'standard' THEN 'standard' WHEN 'emergency' THEN 'emergency' ELSE 'normal' END AS category,
    TRY_CAST(body ->> '$.risk' AS BIGINT) AS risk_level,
    begun AT TIME ZONE 'Asia/Shanghai' AS started_at,
    (begun + window_length) AT TIME ZONE 'Asia/Shanghai' AS ended_at,
    coalesce(CAST(body -> '$.others' AS VARCHAR), '[]') AS related_cis,
    requester,
    body ->> '$.title' AS title,
    body ->> '$.summary' AS title,
    _batch_id,
    _record_no
FROM parsed
