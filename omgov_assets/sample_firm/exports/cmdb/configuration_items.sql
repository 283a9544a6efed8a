-- configuration_items as the CMDB exports them.
SELECT * FROM records
