-- Every record of the delivery that did not become a row of the standard dataset, with its number.
SELECT d._record_no
FROM delivery AS d
ANTI JOIN conformed AS c ON d._record_no = c._record_no
ORDER BY d._record_no
