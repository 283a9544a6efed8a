-- What the log of a day lacks of what the night says now, and a retraction for what it says no more.
WITH said AS (
    SELECT case_id, anomaly_id, kind, payload, count(*) AS times
    FROM logged
    WHERE acted_by = $night AND kind <> 'retracted'
    GROUP BY ALL
),
standing AS (
    SELECT event_id, case_id, anomaly_id, kind, payload FROM effective WHERE acted_by = $night
),
lacking AS (
    SELECT expected.*, coalesce(said.times, 0) AS times
    FROM expected_events AS expected
    LEFT JOIN standing
        ON standing.case_id = expected.case_id
        AND standing.kind = expected.kind
        AND standing.payload = expected.payload
        AND standing.anomaly_id IS NOT DISTINCT FROM expected.anomaly_id
    LEFT JOIN said
        ON said.case_id = expected.case_id
        AND said.kind = expected.kind
        AND said.payload = expected.payload
        AND said.anomaly_id IS NOT DISTINCT FROM expected.anomaly_id
    WHERE standing.event_id IS NULL
),
superfluous AS (
    SELECT standing.*
    FROM standing
    LEFT JOIN expected_events AS expected
        ON standing.case_id = expected.case_id
        AND standing.kind = expected.kind
        AND standing.payload = expected.payload
        AND standing.anomaly_id IS NOT DISTINCT FROM expected.anomaly_id
    WHERE expected.case_id IS NULL
),
changes AS (
    SELECT
        case_id,
        anomaly_id,
        kind,
        payload,
        NULL::VARCHAR AS retracts,
        -- What was said, taken back, and is said again is another event than the first.
        substr(md5(concat_ws(chr(31), $day::DATE, case_id, coalesce(anomaly_id, ''), kind, payload, times)), 1, 16) AS event_id
    FROM lacking
    UNION ALL BY NAME
    SELECT
        case_id,
        anomaly_id,
        'retracted' AS kind,
        '{}' AS payload,
        event_id AS retracts,
        substr(md5(concat_ws(chr(31), 'retracted', event_id)), 1, 16) AS event_id
    FROM superfluous
),
-- The case itself comes before its members, in the order in which a night goes through it.
ordered AS (
    SELECT
        *,
        list_position(
            [
                'retracted', 'opened', 'reopened', 'updated', 'waiver_ended', 'owner_inactive', 'owner_active', 'waived',
                'claim_refuted', 'closed', 'overdue', 'escalated'
            ],
            kind
        ) AS turn
    FROM changes
)
SELECT
    $day::DATE AS day,
    event_id,
    (SELECT coalesce(max(seq), 0) FROM logged)
        + row_number() OVER (ORDER BY retracts IS NULL, case_id, anomaly_id IS NOT NULL, turn, kind, anomaly_id, payload) AS seq,
    case_id,
    anomaly_id,
    kind,
    $happened_at::TIMESTAMPTZ AS happened_at,
    $night::VARCHAR AS acted_by,
    payload,
    retracts
FROM ordered
