-- Deliveries that rows of one dataset came from.
SELECT DISTINCT batch_id, file_name, decision, received_at
FROM ledger
WHERE system = $system AND dataset = $dataset
ORDER BY batch_id, file_name
