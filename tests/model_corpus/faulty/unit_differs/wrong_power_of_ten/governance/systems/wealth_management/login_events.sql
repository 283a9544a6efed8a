/* ---
kind: conform
dataset: login_events
version: 1.0.0
owner: zhao.qiang@example.com
description: Results and client information in JSON to the standard.
units: {duration: s}
--- */
SELECT
    LOGIN_NO AS login_id,
    APP_NO AS ci_id,
    ACCT AS account,
    CAST(LOGIN_TIME AS TIMESTAMPTZ) AS occurred_at,
    lower(split_part(CHANNEL, '-', 1)) AS channel,
    RESULT = '0000' AS succeeded,
    CASE WHEN RESULT <> '0000' THEN 'code_' || RESULT END AS failure_reason,
    COST_MS / 100.0 AS duration,
    info ->> '$.ip' AS ip_address,
    info ->> '$.device.model' AS device,
    _batch_id,
    _record_no
FROM (SELECT *, TRY_CAST(CLIENT_INFO AS JSON) AS info FROM source) AS opened
