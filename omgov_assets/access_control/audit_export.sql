-- Entries of the audit, in the lake or still in the log, that somebody asked for. An entry whose move was interrupted is
-- in both.
WITH chain AS (
    SELECT * FROM stored
    UNION ALL BY NAME
    SELECT * FROM waiting WHERE seq > (SELECT coalesce(max(seq), 0) FROM stored)
)

SELECT
    seq,
    "at",
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
FROM chain
WHERE
    ($first_day::DATE IS NULL OR day >= $first_day::DATE)
    AND ($last_day::DATE IS NULL OR day <= $last_day::DATE)
    AND ($principal::VARCHAR IS NULL OR principal = $principal::VARCHAR)
    AND ($dataset::VARCHAR IS NULL OR dataset = $dataset::VARCHAR)
    AND ($decision::VARCHAR IS NULL OR decision = $decision::VARCHAR)
ORDER BY seq
