"""What makes a change outlast a power cut and a kill: forced writes, and transactions that are all or nothing.

Does not belong here: what is written.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb


def fsync(path: Path) -> None:
    """Force a file, or a folder's entries, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def sqlite_transaction(con: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; one writer at a time, across processes, and who comes second waits.

    ``con`` was opened with ``isolation_level=None``.
    """
    con.execute("BEGIN IMMEDIATE")
    try:
        yield
        con.execute("COMMIT")
    except BaseException:
        # A commit that failed for want of room has been rolled back already, one that was kept waiting has not.
        if con.in_transaction:
            con.execute("ROLLBACK")
        raise


def is_no_room(error: BaseException) -> bool:
    """Whether an error says that a disk, or what may be used of it, is full."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, sqlite3.OperationalError):
        return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
    # DuckDB hands on what the system says, and has no code for it; what it cannot put aside is out of its memory.
    return isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException) and any(
        text in str(error) for text in (os.strerror(errno.ENOSPC), "max_temp_directory_size")
    )
