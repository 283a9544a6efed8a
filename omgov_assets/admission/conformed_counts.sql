-- Rows that the model made, records that they stand for, and rows that stand for no record of the batch.
SELECT
    count(*) AS made,
    count(DISTINCT c._record_no) AS records,
    count(*) FILTER (WHERE d._record_no IS NULL OR c._batch_id IS DISTINCT FROM $batch_id) AS strangers
FROM conformed AS c
LEFT JOIN delivery AS d ON c._record_no = d._record_no
