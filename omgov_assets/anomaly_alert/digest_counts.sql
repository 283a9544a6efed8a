-- What each recipient's digest counts. Reads: addressed, anomalies (with cause_id).
SELECT
    recipient_kind,
    recipient,
    any_value(told) AS told,
    count(*) AS anomalies,
    count(*) FILTER (first_seen_day = day) AS new_anomalies,
    count(*) FILTER (severity = 'critical') AS critical,
    count(*) FILTER (severity = 'warning') AS warning,
    count(*) FILTER (severity = 'info') AS info,
    count(DISTINCT cause_id) AS causes,
    count(cause_id) AS explained
FROM addressed
JOIN anomalies USING (anomaly_id)
GROUP BY recipient_kind, recipient
ORDER BY recipient_kind, recipient
