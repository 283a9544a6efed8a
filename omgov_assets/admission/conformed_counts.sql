-- Rows that the model made, records that they stand for, and rows that stand for no record of the batch.
-- A bit for each record up to the last one: a join and a set of all numbers would take ten times as long.
WITH made AS (
    SELECT
        count(*) AS count,
        bitstring_agg(_record_no, 1, $last) FILTER (_record_no BETWEEN 1 AND $last) AS records,
        count(*) FILTER ((_record_no BETWEEN 1 AND $last) IS NOT TRUE OR _batch_id IS DISTINCT FROM $batch_id) AS strangers
    FROM conformed
),
delivered AS (
    SELECT bitstring_agg(_record_no, 1, $last) AS records FROM delivery
)
SELECT
    made.count AS made,
    coalesce(bit_count(made.records), 0) AS records,
    made.strangers + coalesce(bit_count(made.records) - bit_count(made.records & delivered.records), 0) AS strangers
FROM made, delivered
