"""Floor 0: the Delta tables of the lake, their schemas, and the DuckDB connections that read them.

Belongs here: whatever knows that tables are Delta and queries are DuckDB. Does not belong here: what the tables mean.
"""
