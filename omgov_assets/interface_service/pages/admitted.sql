-- What the gate let in, in all.
SELECT
    count(*) AS batches,
    coalesce(sum(rows_in), 0)::BIGINT AS rows_in,
    coalesce(sum(rows_admitted), 0)::BIGINT AS rows_admitted,
    coalesce(sum(rows_quarantined), 0)::BIGINT AS rows_quarantined
FROM ledger
WHERE decision IN ('admitted', 'partial', 'refused')
