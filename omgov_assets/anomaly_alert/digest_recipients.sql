-- One row for each owner and support group that anomalies of the day are for, those with most anomalies first, and one
-- for the governance office, which is told of what no other digest holds.
-- Reads: anomalies (with cause_id), owners, support_groups. $most: digests of owners and groups at most.
CREATE OR REPLACE TEMP TABLE addressed AS
-- Who has left the firm, or is not known, cannot be told: the support group is, or the office.
WITH reachable_owners AS (
    SELECT DISTINCT owner_id FROM owners WHERE owner_id IS NOT NULL AND coalesce(active, true)
),
known_groups AS (
    SELECT DISTINCT support_group_id FROM support_groups WHERE support_group_id IS NOT NULL
),
of_recipients AS (
    SELECT anomaly_id, 'owner' AS recipient_kind, owner_id AS recipient
    FROM anomalies SEMI JOIN reachable_owners USING (owner_id)
    UNION ALL
    SELECT anomaly_id, 'support_group' AS recipient_kind, support_group_id AS recipient
    FROM anomalies SEMI JOIN known_groups USING (support_group_id)
),
ranked AS (
    SELECT
        recipient_kind,
        recipient,
        row_number() OVER (ORDER BY count(*) DESC, recipient_kind, recipient) <= $most AS told
    FROM of_recipients
    GROUP BY recipient_kind, recipient
),
told_of AS (
    SELECT anomaly_id FROM of_recipients SEMI JOIN (FROM ranked WHERE told) USING (recipient_kind, recipient)
)
SELECT anomaly_id, recipient_kind, recipient, told FROM of_recipients JOIN ranked USING (recipient_kind, recipient)
UNION ALL
SELECT anomaly_id, 'governance_office' AS recipient_kind, 'governance_office' AS recipient, true AS told
FROM anomalies ANTI JOIN told_of USING (anomaly_id);
