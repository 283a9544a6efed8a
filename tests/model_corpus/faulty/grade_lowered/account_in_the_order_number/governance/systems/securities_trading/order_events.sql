/* ---
kind: conform
dataset: order_events
version: 3.1.0
owner: li.na@example.com
description: Codes of market, side and status, local times and microseconds to the standard.
units: {ack_latency: ms, quantity: "{share}"}
--- */
WITH coded AS (
    SELECT
        *,
        CASE 市场代码 WHEN 'SH' THEN 'XSHG' WHEN 'SZ' THEN 'XSHE' WHEN 'HK' THEN 'XHKG' ELSE 市场代码 END AS market,
        CASE
            WHEN 状态代码 = 0 THEN 'placed'
            WHEN 状态代码 = 2 THEN 'acknowledged'
            WHEN 状态代码 IN (4, 5) THEN 'partly_filled'
            WHEN 状态代码 = 6 THEN 'filled'
            WHEN 状态代码 = 7 THEN 'cancelled'
            ELSE 'rejected'
        END AS status
    FROM source
),
timed AS (
    SELECT
        _record_no,
        委托时间 AT TIME ZONE 'Asia/Shanghai' AS placed_at,
        确认时间 AT TIME ZONE 'Asia/Shanghai' AS acknowledged_at,
        成交时间 AT TIME ZONE 'Asia/Shanghai' AS filled_at
    FROM source
)
SELECT
    c.资金账号 || '-' || c.委托编号 AS order_id,
    c.系统编号 AS ci_id,
    c.market,
    if(c.买卖方向 = 'B', 'buy', 'sell') AS side,
    c.status,
    t.placed_at,
    t.acknowledged_at,
    t.filled_at,
    -- Where the gateway did not measure it, the two times tell it.
    coalesce(c.确认耗时 / 1000, epoch_ms(t.acknowledged_at - t.placed_at)) AS ack_latency,
    CAST(c.委托数量 AS DOUBLE) AS quantity,
    CAST(c.成交数量 AS DOUBLE) AS filled_quantity,
    c.委托价格 AS price,
    c.资金账号 AS client_account,
    CASE WHEN c.status = 'rejected' THEN TRY_CAST(c.拒单信息 AS JSON) ->> '$.text' END AS reject_reason,
    c._batch_id,
    c._record_no
FROM coded AS c
JOIN timed AS t ON c._record_no = t._record_no
