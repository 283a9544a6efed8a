/* ---
kind: conform
dataset: order_events
version: 1.0.4
owner: zhao.qiang@example.com
description: Days and times as whole numbers, seconds and codes to the standard.
units: {ack_latency: ms}
--- */
WITH placed AS (
    SELECT
        _record_no AS n,
        strptime(
            CAST(ORD_DATE AS VARCHAR) || lpad(CAST(ORD_TIME AS VARCHAR), 9, '0'),
            '%Y%m%d%H%M%S%g'
        ) AT TIME ZONE 'Asia/Shanghai' AS placed_at
    FROM source
)
SELECT
    s.ORDER_NO AS order_id,
    s.APP_NO AS ci_id,
    COALESCE(NULLIF(s.MKT, ''), 'OTC') AS market,
    CASE s.BS_FLAG WHEN '1' THEN 'buy' ELSE 'sell' END AS side,
    CASE s.ORD_STATUS
        WHEN 'N' THEN 'placed' WHEN 'A' THEN 'acknowledged' WHEN 'P' THEN 'partly_filled'
        WHEN 'F' THEN 'filled' WHEN 'C' THEN 'cancelled' ELSE 'rejected'
    END AS status,
    p.placed_at,
    p.placed_at + to_microseconds(CAST(s.ACK_SEC * 1000000 AS BIGINT)) AS acknowledged_at,
    CASE WHEN s.FILL_EPOCH > 0 THEN to_timestamp(s.FILL_EPOCH) END AS filled_at,
    s.ACK_SEC * 1000 AS ack_latency,
    s.QTY AS quantity,
    s.DONE_QTY AS filled_quantity,
    s.PRICE AS price,
    s.CUST_ACCT AS client_account,
    concat_ws(': ', NULLIF(s.REJ_CODE, ''), NULLIF(s.REJ_TEXT, '')) AS reject_reason,
    s._batch_id,
    s._record_no
FROM source AS s
INNER JOIN placed AS p ON p.n = s._record_no
WHERE s.QTY > 0
