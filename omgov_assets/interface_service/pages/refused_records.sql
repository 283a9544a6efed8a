-- The first refused records of a batch, and how many there are.
SELECT _record_no AS record_no, reasons, reason, payload, count(*) OVER () AS records
FROM quarantine
ORDER BY _record_no
LIMIT $top
