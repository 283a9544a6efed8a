-- What each digest is about: the members of its recipient; of the governance office those that no told digest holds.
-- Reads: of_recipients, told (recipient_kind, recipient).
CREATE OR REPLACE TEMP TABLE addressed AS
WITH held AS (
    SELECT DISTINCT case_id, anomaly_id FROM of_recipients SEMI JOIN told USING (recipient_kind, recipient)
)
SELECT * FROM of_recipients WHERE recipient IS NOT NULL
UNION ALL BY NAME
SELECT DISTINCT
    of_recipients.* REPLACE ('governance_office' AS recipient_kind, 'governance_office' AS recipient)
FROM of_recipients
ANTI JOIN held USING (case_id, anomaly_id)
