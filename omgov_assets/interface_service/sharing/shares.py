"""Shares: which datasets are offered to which principals, and under which names.

SQLite in WAL mode with ``synchronous=FULL``, read anew by each request, so that what is taken back is gone at once in
every process. Does not belong here: what a principal may see of a dataset; a table that it may not read is absent from
every share (``offers``).
"""

from __future__ import annotations

import re
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from omgov_assets.access_control.audit_chain import stamp
from omgov_assets.data_lake.durability import sqlite_transaction
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.data_lake.sqlite_files import open_sqlite

_SCHEMA = read_sql(Path(__file__).with_name("shares.sql"))
_SCHEMA_VERSION = 1
# Clients write <share>.<schema>.<table>, and put names into addresses as they are.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}", re.ASCII)
_DATASET = re.compile(r"([A-Za-z0-9_]{1,64})/([A-Za-z0-9_]{1,64})", re.ASCII)


class ShareError(Exception):
    """A share cannot be made, changed or read; says what to do."""


@dataclass(frozen=True)
class Share:
    """A share by its name, with an identifier that stays its own."""

    name: str
    id: str


@dataclass(frozen=True)
class SharedTable:
    """A dataset as it is offered.

    Attributes:
        share: name of the share.
        schema: name of the schema within it.
        name: name of the table within that.
        id: identifier that no other table has, nor one that takes its place.
        dataset: ``<folder>/<table>``.
    """

    share: str
    schema: str
    name: str
    id: str
    dataset: str


class ShareStore:
    """The shares of a home, opened; may be shared by threads.

    Args:
        path: the SQLite file; it is made where it is missing.

    Raises:
        ShareError: the file is of another version of omgov, or cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._errors_told():
            self._con = open_sqlite(path, _SCHEMA, _SCHEMA_VERSION)

    def close(self) -> None:
        """Close the file."""
        self._con.close()

    def __enter__(self) -> ShareStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(self, name: str, now: datetime) -> Share:
        """Make a share that offers nothing to nobody yet. Raises ``ShareError``."""
        _require_name("share", name)
        share = Share(name, str(uuid.uuid4()))
        with self._changing():
            if self._found(name) is not None:
                raise ShareError(f"there is a share {name} already; `omgov share list` shows what it offers")
            self._con.execute("INSERT INTO shares VALUES (?, ?, ?)", (name, share.id, stamp(now)))
        return share

    def add(self, share: str, dataset: str, schema: str | None = None, name: str | None = None) -> SharedTable:
        """Offer a dataset in a share, by default as ``<folder>.<table>``.

        Raises:
            ShareError: there is no such share, a name cannot be, or is taken.
        """
        matched = _DATASET.fullmatch(dataset)
        if matched is None:
            raise ShareError(f"{dataset!r} is no dataset; write <folder>/<table>, such as quality/anomalies")
        schema, name = schema or matched[1], name or matched[2]
        _require_name("schema", schema)
        _require_name("table", name)
        with self._changing():
            known = self._known(share)
            taken = [one for one in self._tables(known.name) if _same(one.schema, schema) and _same(one.name, name)]
            if taken:
                raise ShareError(f"{known.name}.{schema}.{name} is {taken[0].dataset} already; choose another name")
            # Names that differ in case alone are one name.
            schema = next((one.schema for one in self._tables(known.name) if _same(one.schema, schema)), schema)
            table = SharedTable(known.name, schema, name, str(uuid.uuid4()), dataset)
            self._con.execute(
                "INSERT INTO shared_tables VALUES (?, ?, ?, ?, ?)", (known.name, schema, name, table.id, dataset)
            )
        return table

    def grant(self, share: str, principal: str) -> None:
        """Offer a share to a principal; again is the same. Raises ``ShareError``."""
        if not principal.strip() or not principal.isprintable():
            raise ShareError("a share is offered to somebody: name a principal")
        with self._changing():
            known = self._known(share)
            self._con.execute("INSERT OR IGNORE INTO recipients VALUES (?, ?)", (known.name, principal))

    def revoke(self, share: str, principal: str) -> bool:
        """Offer a share to a principal no longer; returns whether it was offered. Raises ``ShareError``."""
        with self._changing():
            known = self._known(share)
            gone = self._con.execute(
                "DELETE FROM recipients WHERE share = ? AND principal = ?", (known.name, principal)
            )
            return gone.rowcount > 0

    def remove(self, share: str, schema: str, name: str) -> SharedTable:
        """Offer a table no longer. Raises ``ShareError``."""
        with self._changing():
            known = self._known(share)
            for table in self._tables(known.name):
                if _same(table.schema, schema) and _same(table.name, name):
                    self._con.execute("DELETE FROM shared_tables WHERE id = ?", (table.id,))
                    return table
        raise ShareError(f"{share}.{schema}.{name}: no such table; `omgov share list` shows those there are")

    def shares(self, principal: str | None = None) -> list[Share]:
        """The shares that are offered to a principal (all where None), by name. Raises ``ShareError``."""
        with self._errors_told(), self._lock:
            rows = self._con.execute(
                "SELECT name, id FROM shares WHERE ?1 IS NULL OR name IN "
                "(SELECT share FROM recipients WHERE principal = ?1) ORDER BY lower(name)",
                (principal,),
            ).fetchall()
        return [Share(*row) for row in rows]

    def tables(self, share: str) -> list[SharedTable]:
        """The tables of a share, by schema and name; none where there is no such share. Raises ``ShareError``."""
        with self._errors_told(), self._lock:
            return self._tables(share)

    def is_offered(self, table_id: str, principal: str, dataset: str) -> bool:
        """Whether a table, by its identifier, is offered to a principal and is the dataset. Raises ``ShareError``."""
        with self._errors_told(), self._lock:
            rows = self._con.execute(
                "SELECT 1 FROM shared_tables JOIN recipients ON recipients.share = shared_tables.share "
                "WHERE shared_tables.id = ? AND dataset = ? AND principal = ?",
                (table_id, dataset, principal),
            ).fetchall()
        return bool(rows)

    def recipients(self, share: str) -> list[str]:
        """The principals that a share is offered to. Raises ``ShareError``."""
        with self._errors_told(), self._lock:
            rows = self._con.execute(
                "SELECT principal FROM recipients WHERE share = ? ORDER BY principal", (share,)
            ).fetchall()
        return [str(principal) for (principal,) in rows]

    def _tables(self, share: str) -> list[SharedTable]:
        rows = self._con.execute(
            "SELECT share, schema_name, name, id, dataset FROM shared_tables WHERE share = ? "
            "ORDER BY lower(schema_name), lower(name)",
            (share,),
        ).fetchall()
        return [SharedTable(*row) for row in rows]

    def _found(self, name: str) -> Share | None:
        rows = self._con.execute("SELECT name, id FROM shares WHERE name = ?", (name,)).fetchall()
        return Share(*rows[0]) if rows else None

    def _known(self, name: str) -> Share:
        share = self._found(name)
        if share is None:
            raise ShareError(f"{name}: no such share; make it with `omgov share create {name}`")
        return share

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._errors_told(), self._lock, sqlite_transaction(self._con):
            yield

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ShareError(f"{self.path} cannot be used ({error}); until it can, nothing is shared") from error


def _require_name(what: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ShareError(
            f"{name!r} cannot be the name of a {what}: take up to 64 letters, digits, _ and -, not - first"
        )


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
