-- support_groups as the CMDB exports them.
SELECT * FROM records
