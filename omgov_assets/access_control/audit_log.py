"""The audit log: a decision is on disk before anybody acts on it.

SQLite in WAL mode with ``synchronous=FULL``: what is committed survives a power cut. Decisions that come at the same
time share one commit, so that many are durable a second. Where a decision cannot be recorded, an error is raised and no
data may leave. Does not belong here: what an entry holds (``audit_chain``), moving entries into the lake
(``audit_lake``).
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from omgov_assets.access_control.audit_chain import GENESIS, Decision, Entry, chained, stamp
from omgov_assets.data_lake.durability import fsync, sqlite_transaction
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.data_lake.sqlite_files import OtherVersionError, open_sqlite

# Decisions overtake each other on their way here; a clock that is further back than this was set back.
CLOCK_TOLERANCE = timedelta(minutes=1)

# Files are compared with it word by word (``audit_verify``): whoever changes it changes its version.
SCHEMA = read_sql(Path(__file__).with_name("audit_log.sql"))
SCHEMA_VERSION = 1
_LONGEST_WAIT_S = 10
# Room that there has to be for some entries.
_PROBE_BYTES = 64 << 10
_HEAD_BYTES = 128


class AuditUnavailableError(Exception):
    """A decision could not be recorded, or the log not be read: no data may leave. Says what to do."""


class ClockSetBackError(AuditUnavailableError):
    """A permission at a time before what is on record already; it is recorded as a denial."""


class DeniedError(Exception):
    """The decision was a denial, which is on record; says why."""


@dataclass(frozen=True)
class Stored:
    """Up to which entry the lake holds the chain, the hash of that entry, and the version that came to hold it."""

    seq: int
    hash: str
    lake_version: int | None


class _Waiting:
    """A decision that waits for the commit that takes it along."""

    def __init__(self, decision: Decision, accepts_clock: bool = False) -> None:
        self.decision = decision
        self.accepts_clock = accepts_clock
        self.entry: Entry | None = None
        self.refusal: AuditUnavailableError | None = None

    @property
    def is_over(self) -> bool:
        return self.entry is not None or self.refusal is not None


class AuditLog:
    """The audit log of a home, opened; may be shared by threads.

    Args:
        folder: ``OMGOV_HOME/audit``; it is made where it is missing.
        continues: where the chain goes on where the log is new; for a log that was lost (``audit_lake.recover``).

    Raises:
        AuditUnavailableError: the file is of another version of omgov, or cannot be read.
    """

    def __init__(self, folder: Path, continues: Stored | None = None) -> None:
        self.path = log_path(folder)
        self._pid = os.getpid()
        self._queue: deque[_Waiting] = deque()
        self._writer = threading.RLock()
        try:
            is_new = not folder.is_dir()
            folder.mkdir(parents=True, exist_ok=True)
            self._head = os.open(head_path(folder), os.O_RDWR | os.O_CREAT, 0o600)
            if is_new:
                fsync(folder)
                fsync(folder.parent)
        except OSError as error:
            raise AuditUnavailableError(f"{folder} cannot be used for the audit ({error})") from error
        try:
            if not _holds_something(self.path):
                self._require_new(continues)
            self.con = open_sqlite(
                self.path, SCHEMA, SCHEMA_VERSION, _LONGEST_WAIT_S, lambda con: self._begin(con, continues)
            )
        except OtherVersionError as error:
            self.close()
            raise AuditUnavailableError(str(error)) from error
        except sqlite3.Error as error:
            self.close()
            raise _unavailable(self.path, error) from error
        except BaseException:
            self.close()
            raise

    def _begin(self, con: sqlite3.Connection, continues: Stored | None) -> None:
        self._require_new(continues)
        first = continues or Stored(0, GENESIS, None)
        con.execute("INSERT INTO stored VALUES (1, ?, ?, ?)", (first.seq, first.hash, first.lake_version))
        con.execute("INSERT INTO clock VALUES (1, '')")

    def _require_new(self, continues: Stored | None) -> None:
        if continues is None and os.fstat(self._head).st_size:
            # Beginning anew would hide what was lost.
            raise AuditUnavailableError(
                f"{self.path} is gone or empty, and {head_path(self.path.parent)} says that it was not; restore it, or "
                "go on without it by `omgov audit recover`"
            )

    def close(self) -> None:
        """Close the files."""
        if hasattr(self, "con"):
            self.con.close()
        if self._head >= 0:
            os.close(self._head)
            self._head = -1

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def record(self, decision: Decision) -> Entry:
        """Record a decision; returns when it is durable.

        Raises:
            AuditUnavailableError: it could not be recorded. Whatever was decided, no data may leave.
            ClockSetBackError: a permission at a time before that of earlier entries; a denial is recorded instead.
        """
        return self._recorded(_Waiting(decision))

    def _recorded(self, waiting: _Waiting) -> Entry:
        if os.getpid() != self._pid:
            raise AuditUnavailableError("a forked process opens a log of its own")
        self._queue.append(waiting)
        # Whoever gets the lock commits all that wait by then; the others find theirs done.
        with self._writer:
            if not waiting.is_over:
                self._commit_waiting()
        if waiting.refusal is not None:
            raise waiting.refusal
        if waiting.entry is None:
            raise AuditUnavailableError("the decision was not recorded")
        return waiting.entry

    @contextmanager
    def decision(self, decision: Decision) -> Iterator[Entry]:
        """Let data leave in the body: it is entered only where the decision is a permission, and is on record.

        Raises:
            DeniedError: the decision is a denial, and on record as one.
            AuditUnavailableError: as ``record``.
        """
        entry = self.record(decision)
        if decision.decision != "allow":
            raise DeniedError(decision.reason)
        yield entry

    def require_writable(self) -> None:
        """Raise ``AuditUnavailableError`` where a decision could not be recorded now."""
        with self._errors_told(), self._writer, sqlite_transaction(self.con):
            # Of a value that stays the same SQLite writes nothing: whether there is room, a file has to show.
            self.con.execute("UPDATE clock SET latest = latest")
            with tempfile.TemporaryFile(dir=self.path.parent) as probe:
                probe.write(bytes(_PROBE_BYTES))
                probe.flush()
                os.fsync(probe.fileno())

    def accept_clock(self, at: datetime, principal: str, reason: str) -> Entry:
        """Let the clock's time count again although it is before what is on record; that it does is recorded."""
        notice = Decision(at, principal, "audit", "notice", f"clock accepted: {reason}")
        return self._recorded(_Waiting(notice, accepts_clock=True))

    def _commit_waiting(self) -> None:
        batch = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            entries, refusals = self._commit(batch)
        except (sqlite3.Error, OSError) as error:
            for waiting in batch:
                waiting.refusal = _unavailable(self.path, error)
        except BaseException as error:
            for waiting in batch:
                waiting.refusal = AuditUnavailableError(f"recording ended early: {type(error).__name__}")
            raise
        else:
            for waiting, entry, refusal in zip(batch, entries, refusals, strict=True):
                waiting.entry, waiting.refusal = entry, refusal

    def _commit(self, batch: Sequence[_Waiting]) -> tuple[list[Entry], list[ClockSetBackError | None]]:
        entries: list[Entry] = []
        refusals: list[ClockSetBackError | None] = []
        with sqlite_transaction(self.con):
            seq, previous = self.head()
            ((latest,),) = self.con.execute("SELECT latest FROM clock").fetchall()
            for waiting in batch:
                decision = waiting.decision
                latest = "" if waiting.accepts_clock else latest
                refusal = _clock_refusal(decision, latest)
                recorded = decision.denied(str(refusal)) if refusal else decision
                entry = chained(seq + 1, previous, recorded.fields())
                seq, previous, latest = entry.seq, entry.hash, max(latest, stamp(decision.at))
                entries.append(entry)
                refusals.append(refusal)
            self.con.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?)",
                [(entry.seq, entry.previous_hash, entry.content, entry.hash) for entry in entries],
            )
            self.con.execute("UPDATE clock SET latest = ?", (latest,))
        # SQLite takes a WAL that is damaged at its end for a shorter one. The head beside it tells; it is written
        # without waiting for the disk, since an older head says nothing wrong.
        os.pwrite(self._head, f"{seq} {previous}\n".ljust(_HEAD_BYTES).encode(), 0)
        return entries, refusals

    def head(self) -> tuple[int, str]:
        """Number and hash of the last entry; of none, 0 and the chain's beginning."""
        with self._writer:
            rows = self.con.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchall()
            if rows:
                return int(rows[0][0]), str(rows[0][1])
            stored = self.stored()
            return stored.seq, stored.hash

    def stored(self) -> Stored:
        """Up to which entry the lake holds the chain."""
        with self._writer:
            ((seq, hashed, version),) = self.con.execute("SELECT seq, hash, lake_version FROM stored").fetchall()
        return Stored(seq, hashed, version)

    def entries(self, after: int = 0, most: int | None = None) -> list[Entry]:
        """Entries of the log whose number is greater, in order."""
        with self._errors_told(), self._writer:
            rows = self.con.execute(
                "SELECT seq, previous_hash, content, hash FROM entries WHERE seq > ? ORDER BY seq LIMIT ?",
                (after, -1 if most is None else most),
            ).fetchall()
        return [Entry(*row) for row in rows]

    def mark_stored(self, seq: int, hashed: str, lake_version: int | None) -> None:
        """Say that the lake durably holds all entries up to one, and forget them here.

        Raises:
            AuditUnavailableError: the entry of that number has another hash here than in the lake.
        """
        with self._errors_told(), self._writer, sqlite_transaction(self.con):
            stored = self.stored()
            here = {stored.seq: stored.hash} | dict(
                self.con.execute("SELECT seq, hash FROM entries WHERE seq = ?", (seq,)).fetchall()
            )
            if here.get(seq) != hashed:
                raise AuditUnavailableError(
                    f"entry {seq} is another one in the lake than in {self.path}; `omgov audit verify` says more"
                )
            self.con.execute("UPDATE stored SET seq = ?, hash = ?, lake_version = ?", (seq, hashed, lake_version))
            self.con.execute("DELETE FROM entries WHERE seq <= ?", (seq,))

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise _unavailable(self.path, error) from error


def log_path(folder: Path) -> Path:
    """The SQLite file of an audit folder."""
    return folder / "audit.db"


def head_path(folder: Path) -> Path:
    """The file that says how far the chain had come when the log was last written."""
    return folder / "head"


def _holds_something(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _clock_refusal(decision: Decision, latest: str) -> ClockSetBackError | None:
    if decision.decision != "allow" or stamp(decision.at + CLOCK_TOLERANCE) >= latest:
        return None
    return ClockSetBackError(
        f"the clock was set back: it is {stamp(decision.at)}, and {latest} is on record; correct the clock, or let its "
        "time count with `omgov audit accept-clock`"
    )


def _unavailable(path: Path, error: Exception) -> AuditUnavailableError:
    return AuditUnavailableError(
        f"{path} cannot be used ({error}), and without the audit no data leaves; make room, or see `omgov audit verify`"
    )
