-- owners as the CMDB exports them.
SELECT * FROM records
