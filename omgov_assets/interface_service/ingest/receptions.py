"""The receptions of a home: what was pushed and acknowledged, by whom, under which key, and what became of it.

SQLite in WAL mode with ``synchronous=FULL``: what is committed survives a power cut. It says what is still to be judged
and answers those who ask; that there is a delivery at all its file in the landing folder says, which is there first.
Does not belong here: landing files (``admission.reception``), having them judged (``worker``).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from omgov_assets.admission.reception import Received
from omgov_assets.data_lake.durability import sqlite_transaction
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.data_lake.sqlite_files import open_sqlite

KEYS_KEPT = timedelta(days=8)
RECEPTIONS_KEPT = timedelta(days=400)
# Of what the ledger holds, what those who pushed are told.
TOLD_OF_ENTRY = (
    "decision",
    "reason_code",
    "reason",
    "rows_in",
    "rows_admitted",
    "rows_quarantined",
    "quarantine_reasons",
    "rows_warned",
    "warnings",
)

_SCHEMA = read_sql(Path(__file__).with_name("receptions.sql"))
_SCHEMA_VERSION = 1
_COLUMNS = (
    "id, system, dataset, day, file_name, batch_id, content_hash, size_bytes, received_at, state, attempts, "
    "last_error, entry"
)


class KeyReusedError(Exception):
    """An ``Idempotency-Key`` was used for something else before."""


@dataclass(frozen=True)
class Target:
    """What is pushed to: a dataset of a system, on a business day."""

    system: str
    dataset: str
    day: date

    @property
    def table(self) -> str:
        """The dataset's table in the lake."""
        return f"{self.system}/{self.dataset}"

    def __str__(self) -> str:
        return f"{self.table}/{self.day}"


@dataclass(frozen=True)
class Accepted:
    """One reception.

    Attributes:
        id: what it is asked for by; of the same bytes for the same target always the same.
        target: what was pushed to.
        file_name: the file relative to the landing folder.
        batch_id: what the ledger calls it.
        content_hash: SHA-256 of its bytes in hex.
        size_bytes: how many there are.
        received_at: when the last of them came first.
        state: received, failed, or the ledger's decision.
        attempts: how often the gate began with it.
        last_error: why the gate could not decide the last time; holds no data.
        entry: what the ledger said of it, by the columns of ``TOLD_OF_ENTRY``; empty until it was decided.
    """

    id: str
    target: Target
    file_name: str
    batch_id: str
    content_hash: str
    size_bytes: int
    received_at: datetime
    state: str
    attempts: int
    last_error: str | None
    entry: Mapping[str, Any]


class Receptions:
    """The receptions of a home, opened; may be shared by threads.

    Args:
        path: the SQLite file; it is made where it is missing.

    Raises:
        OtherVersionError: the file is of another version of omgov.
        sqlite3.Error, OSError: it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._con = open_sqlite(path, _SCHEMA, _SCHEMA_VERSION, timeout_s=30)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._con.close()

    def __enter__(self) -> Receptions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require_key_for(self, principal: str, key: str, target: Target) -> None:
        """Say early, before a body is read, that a key was used for another target. Raises ``KeyReusedError``."""
        with self._lock:
            rows = self._key(principal, key)
        if rows and rows[0][1] != str(target):
            raise KeyReusedError

    def bind_key(self, principal: str, key: str, target: Target, content_hash: str, now: datetime) -> bool:
        """Use a key for what was received; whether it was used for just that before.

        Of two that come with one key at a time the first one has it.

        Raises:
            KeyReusedError: it was used for something else.
        """
        reception = reception_id(target, content_hash)
        with self._changing():
            rows = self._key(principal, key)
            if rows:
                if rows[0][0] != reception:
                    raise KeyReusedError
                return True
            self._con.execute(
                "INSERT INTO keys VALUES (?, ?, ?, ?, ?)",
                (principal, _hashed(key), reception, str(target), _stamp(now)),
            )
            return False

    def accept(self, principal: str, target: Target, received: Received, now: datetime) -> Accepted:
        """Note a reception whose file has landed; the same one again, and one that failed is to be judged again."""
        identifier = reception_id(target, received.content_hash)
        with self._changing():
            self._con.execute(
                "INSERT INTO receptions (id, system, dataset, day, file_name, batch_id, content_hash, size_bytes, "
                "received_at, state, next_attempt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'received', ?) "
                "ON CONFLICT (id) DO UPDATE SET state = 'received', attempts = 0, next_attempt = excluded.next_attempt "
                "WHERE state = 'failed'",
                (
                    identifier,
                    target.system,
                    target.dataset,
                    target.day.isoformat(),
                    received.file_name,
                    received.content_hash[:16],
                    received.content_hash,
                    received.size_bytes,
                    _stamp(received.received_at),
                    _stamp(now),
                ),
            )
            self._con.execute("INSERT OR IGNORE INTO senders VALUES (?, ?)", (identifier, principal))
            (row,) = self._rows("id = ?", identifier)
        return row

    def find(self, identifier: str) -> Accepted | None:
        """A reception; None where there is none."""
        with self._lock:
            rows = self._rows("id = ?", identifier)
        return rows[0] if rows else None

    def is_sender(self, identifier: str, principal: str) -> bool:
        """Whether a principal pushed a reception."""
        query = "SELECT count(*) FROM senders WHERE reception = ? AND principal = ?"
        with self._lock:
            ((found,),) = self._con.execute(query, (identifier, principal)).fetchall()
        return bool(found)

    def backlog(self) -> int:
        """How many receptions the gate has not decided."""
        with self._lock:
            ((found,),) = self._con.execute("SELECT count(*) FROM receptions WHERE state = 'received'").fetchall()
        return int(found)

    def begin(self, now: datetime, again_in: timedelta) -> list[Accepted]:
        """Receptions to judge now: all of the target that waits longest; each counts an attempt before it is made.

        ``again_in``: when they are due again should nobody say what became of them, as when the process is killed.
        """
        with self._changing():
            due = self._rows("state = 'received' AND next_attempt <= ?", _stamp(now), order="next_attempt, received_at")
            chosen = [one for one in due if one.target == due[0].target]
            for one in chosen:
                self._con.execute(
                    "UPDATE receptions SET attempts = attempts + 1, next_attempt = ? WHERE id = ?",
                    (_stamp(now + again_in), one.id),
                )
            return [found for one in chosen for found in self._rows("id = ?", one.id)]

    def decide(self, identifier: str, entry: Mapping[str, Any], now: datetime) -> None:
        """Note what the ledger says of a reception."""
        told = told_of(entry)
        with self._changing():
            self._con.execute(
                "UPDATE receptions SET state = ?, entry = ?, last_error = NULL, decided_at = ? WHERE id = ?",
                (entry["decision"], json.dumps(told), _stamp(now), identifier),
            )

    def postpone(self, identifier: str, error: str, until: datetime | None) -> None:
        """Note that the gate could not decide, and when to try again; never where None."""
        with self._changing():
            self._con.execute(
                "UPDATE receptions SET last_error = ?, next_attempt = coalesce(?, next_attempt), state = ? "
                "WHERE id = ? AND state = 'received'",
                (error, _stamp(until) if until else None, "received" if until else "failed", identifier),
            )

    def resume(self, now: datetime) -> int:
        """Make all that is not decided due now, as when the process that had begun with it is gone; how many."""
        with self._changing():
            return self._con.execute(
                "UPDATE receptions SET next_attempt = min(next_attempt, ?) WHERE state = 'received'", (_stamp(now),)
            ).rowcount

    def prune(self, now: datetime) -> None:
        """Forget keys and decided receptions that nobody will ask for any more."""
        with self._changing():
            self._con.execute("DELETE FROM keys WHERE created_at < ?", (_stamp(now - KEYS_KEPT),))
            self._con.execute(
                "DELETE FROM receptions WHERE state <> 'received' AND received_at < ?", (_stamp(now - RECEPTIONS_KEPT),)
            )

    def _key(self, principal: str, key: str) -> list[tuple[str, str]]:
        query = "SELECT reception, target FROM keys WHERE principal = ? AND key_hash = ?"
        return self._con.execute(query, (principal, _hashed(key))).fetchall()

    def _rows(self, condition: str, *values: str, order: str = "id") -> list[Accepted]:
        query = f"SELECT {_COLUMNS} FROM receptions WHERE {condition} ORDER BY {order}"  # noqa: S608 - own texts
        return [_accepted(row) for row in self._con.execute(query, values).fetchall()]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock, sqlite_transaction(self._con):
            yield


def reception_id(target: Target, digest: str) -> str:
    """What a reception is asked for by: 32 hexadecimal digits that stand for target and content."""
    return _hashed(f"{target}\x1f{digest}")[:32]


def _accepted(row: tuple[Any, ...]) -> Accepted:
    identifier, system, dataset, day, file_name, batch_id, digest, size, received_at, state, attempts, error, entry = (
        row
    )
    return Accepted(
        id=identifier,
        target=Target(system, dataset, date.fromisoformat(day)),
        file_name=file_name,
        batch_id=batch_id,
        content_hash=digest,
        size_bytes=size,
        received_at=datetime.fromisoformat(received_at),
        state=state,
        attempts=attempts,
        last_error=error,
        entry=json.loads(entry) if entry else {},
    )


def told_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """What those who pushed are told of a ledger entry; None for columns that it lacks."""
    told: dict[str, Any] = {name: entry.get(name) for name in TOLD_OF_ENTRY}
    for name in ("quarantine_reasons", "warnings"):
        told[name] = json.loads(told[name]) if told[name] else {}
    return told


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
