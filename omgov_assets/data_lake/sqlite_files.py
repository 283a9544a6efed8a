"""SQLite files of a home: what must be on disk when it is said to be, small enough for one file, written by many.

Owns how such a file is opened: in WAL mode with ``synchronous=FULL``, so that what is committed survives a power cut;
its owner's alone; made by whoever comes first. Does not belong here: what is in them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from omgov_assets.data_lake.durability import sqlite_transaction


class OtherVersionError(sqlite3.DatabaseError):
    """The file was written by another version of omgov."""


def open_sqlite(
    path: Path,
    schema: str,
    schema_version: int,
    timeout_s: float = 10,
    fill: Callable[[sqlite3.Connection], object] | None = None,
) -> sqlite3.Connection:
    """Open a file, making it and its tables where they are missing; the connection may be shared under a lock.

    Args:
        path: the file.
        schema: statements that make its tables.
        schema_version: version of the schema; kept in the file as ``user_version``.
        timeout_s: how long to wait for whoever writes.
        fill: what else a new file needs, before anybody sees it.

    Raises:
        OtherVersionError: the file is of another version of omgov.
        sqlite3.Error, OSError: it cannot be used.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    con = sqlite3.connect(path, timeout=timeout_s, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        con.execute("PRAGMA journal_mode = WAL").fetchall()
        con.execute("PRAGMA synchronous = FULL")
        con.execute("PRAGMA foreign_keys = ON")
        # Whoever reads does not wait for who writes: only a new file is made alone.
        if _version(con) == 0:
            with sqlite_transaction(con):
                # Of two that come first, one has made the tables by now.
                if _version(con) == 0:
                    for statement in _statements(schema):
                        con.execute(statement)
                    if fill is not None:
                        fill(con)
                    con.execute(f"PRAGMA user_version = {schema_version}")
        if _version(con) != schema_version:
            raise OtherVersionError(
                f"{path} is of version {_version(con)}, this omgov knows {schema_version}; use the omgov that wrote it"
            )
    except BaseException:
        con.close()
        raise
    return con


def _version(con: sqlite3.Connection) -> int:
    ((version,),) = con.execute("PRAGMA user_version").fetchall()
    return int(version)


def _statements(script: str) -> Iterator[str]:
    """The statements one by one: ``executescript`` would end the transaction."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
