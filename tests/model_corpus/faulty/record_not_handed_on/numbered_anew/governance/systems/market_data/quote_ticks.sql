/* ---
kind: conform
dataset: quote_ticks
version: 2.0.0
owner: chen.min@example.com
description: Instruments taken apart, the best levels of the book, epochs to instants and to the delay between them.
units: {feed_delay: ms}
--- */
WITH opened AS (
    SELECT
        *,
        CAST(coalesce(book, '{}') AS JSON) AS levels,
        split_part(instrument, '.', 1) AS prefix
    FROM source
    WHERE recv_us >= exch_ms * 1000
)
SELECT
    substr(instrument, length(prefix) + 2) AS symbol,
    coalesce(MAP {'SH': 'XSHG', 'SZ': 'XSHE', 'HK': 'XHKG'}[prefix], prefix) AS market,
    seq AS sequence_no,
    gateway AS ci_id,
    epoch_ms(exch_ms) AT TIME ZONE 'UTC' AS exchange_at,
    make_timestamptz(recv_us) AS received_at,
    CAST(levels ->> '$.b[0][0]' AS DOUBLE) AS bid,
    CAST(levels ->> '$.a[0][0]' AS DOUBLE) AS ask,
    lots * 100 AS volume,
    -- Both are epochs, of which one is in milliseconds.
    (recv_us - exch_ms * 1000) / 1000 AS feed_delay,
    _batch_id,
    row_number() OVER (ORDER BY _record_no) AS _record_no
FROM opened
