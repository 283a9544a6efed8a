-- The lines of each digest that is told: its open cases, those of one cause in one line; the first $top of them, waived ones last.
-- Reads: addressed, cases, refuted, come_back, told (the office among them).
WITH named AS (
    SELECT
        addressed.recipient_kind,
        addressed.recipient,
        coalesce(cases.cause_id, addressed.case_id) AS line,
        addressed.case_id,
        addressed.anomaly_type,
        list_position(['critical', 'warning', 'info'], addressed.severity) AS severity,
        addressed.added_day,
        is_new,
        is_unverified,
        is_waived
    FROM addressed
    JOIN cases USING (case_id)
    SEMI JOIN told USING (recipient_kind, recipient)
    WHERE is_open
),
-- A case once for each recipient; then a line once.
by_case AS (
    SELECT
        recipient_kind, recipient, line, case_id,
        min(severity) AS severity,
        list_sort(list(DISTINCT anomaly_type)) AS anomaly_types,
        count(*) AS anomalies,
        count(*) FILTER (is_new) AS new_anomalies,
        count(*) FILTER (is_unverified) AS unverified_anomalies,
        count(*) FILTER (is_waived) AS waived_anomalies,
        min(added_day) AS since_day
    FROM named
    GROUP BY recipient_kind, recipient, line, case_id
),
lines AS (
    SELECT
        recipient_kind,
        recipient,
        line,
        list(case_id ORDER BY anomalies DESC, case_id) AS case_ids,
        any_value(cause ORDER BY case_id) AS cause,
        any_value(scope ORDER BY case_id) AS scope,
        list_sort(list_distinct(flatten(list(anomaly_types)))) AS anomaly_types,
        ['critical', 'warning', 'info'][min(by_case.severity)] AS severity,
        sum(anomalies)::BIGINT AS anomalies,
        sum(open_members)::BIGINT AS anomalies_of_cases,
        sum(by_case.new_anomalies)::BIGINT AS new_anomalies,
        sum(by_case.unverified_anomalies)::BIGINT AS unverified_anomalies,
        min(since_day) AS since_day,
        min(due_day) AS due_day,
        bool_or(is_overdue) AS is_overdue,
        bool_or(is_escalated AND status <> 'waived') AS is_escalated,
        sum(waived_anomalies)::BIGINT AS waived_anomalies,
        sum(waived_anomalies) = sum(anomalies) AS is_waived,
        min(waived_until) AS waived_until,
        bool_or(case_id IN (SELECT case_id FROM refuted)) AS is_refuted,
        bool_or(case_id IN (SELECT case_id FROM come_back)) AS is_back,
        bool_and(status = 'fix_claimed') AS is_claimed
    FROM by_case
    JOIN cases USING (case_id)
    GROUP BY recipient_kind, recipient, line
)
FROM lines
QUALIFY
    row_number() OVER (
        PARTITION BY recipient_kind, recipient
        ORDER BY
            is_waived,
            list_position(['critical', 'warning', 'info'], severity),
            is_overdue DESC,
            anomalies DESC,
            line
    ) <= $top
ORDER BY
    recipient_kind,
    recipient,
    is_waived,
    list_position(['critical', 'warning', 'info'], severity),
    is_overdue DESC,
    anomalies DESC,
    line
