-- ci_relations as the CMDB exports them.
SELECT * FROM records
