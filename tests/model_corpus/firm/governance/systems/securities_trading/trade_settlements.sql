/* ---
kind: conform
dataset: trade_settlements
version: 1.4.0
owner: li.na@example.com
description: Days and times as text, and Chinese states, to the standard.
units:
  amount: "{CNY}"
  fee: "{CNY}"
--- */
SELECT
    成交编号                                                              AS trade_id,
    分笔号                                                                AS leg_no,
    系统编号                                                              AS ci_id,
    委托编号                                                              AS order_id,
    CAST(strptime(交收日期, '%Y%m%d') AS DATE)                            AS settle_date,
    strptime(指令时间, '%Y%m%d%H%M%S') AT TIME ZONE 'Asia/Shanghai'       AS instructed_at,
    try_strptime(nullif(交收时间, '0'), '%Y%m%d%H%M%S') AT TIME ZONE 'Asia/Shanghai' AS settled_at,
    清算金额                                                              AS amount,
    coalesce(手续费, 0) + coalesce(过户费, 0)                             AS fee,
    NULLIF(TRIM(对手方), '')                                              AS counterparty,
    CASE 状态
        WHEN '已发送' THEN 'instructed'
        WHEN '已匹配' THEN 'matched'
        WHEN '已交收' THEN 'settled'
        ELSE 'failed'
    END                                                                   AS status,
    CASE WHEN 返回码 <> '0000' THEN upper(返回码) END                     AS fail_code,
    _batch_id,
    _record_no
FROM source
;
