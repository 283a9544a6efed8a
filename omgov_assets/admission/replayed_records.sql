-- The quarantined records of a batch that were refused for a reason (any where it is null), with the object that the
-- quarantine kept of each; null for those that never had columns.
CREATE OR REPLACE TEMP TABLE replayed AS
SELECT
    _record_no,
    reasons,
    reason,
    payload,
    CASE
        WHEN NOT list_has_any(reasons, $never_columns) AND starts_with(ltrim(payload), '{') AND json_valid(payload)
            THEN payload::JSON
    END AS object,
    json_keys(object) AS keys
FROM quarantine
WHERE _batch_id = $batch_id
    AND (
        $reason IS NULL
        OR len(list_filter(reasons, lambda code: code = $reason OR starts_with(code, $reason || ':'))) > 0
    )
