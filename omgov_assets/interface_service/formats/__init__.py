"""Forms that rows leave in: JSON, NDJSON, CSV, Arrow, Parquet, XLSX; for the service and for ``omgov export`` alike.

``formats`` names them, ``texts`` and ``binaries`` write them. Does not belong here: which rows (``access_control``),
which form a client wants (``rest.negotiation``).
"""
