-- Entries of audit/access as the chain hashes them: times as the text that was hashed.
SELECT
    day::VARCHAR AS day,
    seq,
    strftime("at" AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f') || '+00:00' AS "at",
    principal,
    purpose,
    dataset,
    version,
    "columns",
    "rows",
    row_count,
    masks,
    policy_hash,
    decision,
    reason,
    previous_hash,
    hash
FROM stored
ORDER BY seq, hash
