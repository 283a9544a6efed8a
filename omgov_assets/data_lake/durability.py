"""What makes a change outlast a power cut and a kill: forced writes, and transactions that are all or nothing.

Does not belong here: what is written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
