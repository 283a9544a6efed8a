"""DuckDB connections as omgov wants them: in UTC, memory-limited, spilling to a folder of ours, without extensions.

Owns one rule: every connection has the same settings, whether it is opened for one piece of work or kept for many small
ones. Does not belong here: what is read through them (``lake``).
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import duckdb


def open_connection(spill: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    """A connection of its own, which the caller closes.

    Args:
        spill: folder for what does not fit into memory; it is made where it is missing.
        memory_limit: what DuckDB may hold in memory before it spills.
    """
    spill.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    try:
        con.execute("SET GLOBAL TimeZone = 'UTC'")
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET enable_progress_bar = false")
    except BaseException:
        con.close()
        raise
    return con


class KeptConnection:
    """One database in memory for many small questions, with a cursor for each thread that asks.

    Opening a connection costs more than a page of rows; the footers of Parquet files that were read are kept as well.
    Files that are read through it are never written again under the same name. All threads share the memory limit.
    """

    def __init__(self, spill: Path, memory_limit: str) -> None:
        self._spill, self._memory_limit = spill, memory_limit
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._con: duckdb.DuckDBPyConnection | None = None
        self._cursors = threading.local()
        self._left: list[object] = []

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """The cursor of this thread, which the caller does not close and whose answers it fetches whole."""
        if self._pid != os.getpid():
            # A forked process has none of the threads that closing the database would wait for: it is left as it is.
            self._left.append((self._con, self._cursors))
            self._pid, self._con, self._cursors = os.getpid(), None, threading.local()
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._cursors, "cursor", None)
        if cursor is None:
            with self._lock:
                if self._con is None:
                    self._con = open_connection(self._spill, self._memory_limit)
                    self._con.execute("SET GLOBAL parquet_metadata_cache = true")
                cursor = self._con.cursor()
            cursor.execute("SET enable_progress_bar = false")
            self._cursors.cursor = cursor
        return cursor
