-- The lines of each digest that is told: anomalies by cause, and by type where no cause explains them; the first $top of
-- either kind. Reads: addressed, anomalies (with cause_id).
WITH named AS (
    SELECT
        recipient_kind,
        recipient,
        cause_id,
        CASE WHEN cause_id IS NULL THEN anomaly_type END AS anomaly_type,
        first_seen_day = day AS is_new
    FROM addressed
    JOIN anomalies USING (anomaly_id)
    WHERE told
),
counted AS (
    SELECT
        recipient_kind, recipient, cause_id, anomaly_type,
        count(*) AS anomalies,
        count(*) FILTER (is_new) AS new_anomalies
    FROM named
    GROUP BY recipient_kind, recipient, cause_id, anomaly_type
)
FROM counted
QUALIFY
    row_number() OVER (
        PARTITION BY recipient_kind, recipient, cause_id IS NULL
        ORDER BY anomalies DESC, cause_id, anomaly_type
    ) <= $top
ORDER BY recipient_kind, recipient, cause_id IS NULL, anomalies DESC, cause_id, anomaly_type
