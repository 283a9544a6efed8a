-- Anomalies by type and severity, those of the day before beside them; what there is most of first.
WITH today AS (
    SELECT anomaly_type, severity, count(*) AS anomalies, count(*) FILTER (first_seen_day = day) AS new
    FROM anomalies
    GROUP BY ALL
),
yesterday AS (
    SELECT anomaly_type, severity, count(*) AS previous
    FROM before
    GROUP BY ALL
)
SELECT
    anomaly_type,
    ['critical', 'warning', 'info'][min(list_position(['critical', 'warning', 'info'], severity))] AS severity,
    coalesce(sum(anomalies), 0)::BIGINT AS anomalies,
    coalesce(sum(new), 0)::BIGINT AS new,
    coalesce(sum(previous), 0)::BIGINT AS previous
FROM today
FULL JOIN yesterday USING (anomaly_type, severity)
GROUP BY anomaly_type
ORDER BY anomalies DESC, previous DESC, anomaly_type
