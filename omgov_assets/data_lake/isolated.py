"""DuckDB connections that see nothing of the world: for SQL that is examined rather than run.

Does not belong here: connections that read the lake (``lake``).
"""

from __future__ import annotations

import duckdb


def isolated_connection(memory_limit: str = "256MB") -> duckdb.DuckDBPyConnection:
    """An in-memory connection in UTC without files, network and extensions, which says its errors as JSON.

    Nothing of this can be undone by what is run on it: the configuration is locked.
    """
    con = duckdb.connect(
        config={
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": memory_limit,
            "temp_directory": "",
            "python_enable_replacements": "false",
            "threads": "1",
        }
    )
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET errors_as_json = true")
    con.execute("SET lock_configuration = true")
    return con
