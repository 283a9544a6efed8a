"""The part of the audit that is in the lake: the append-only table ``audit/access``.

Belongs here: moving entries there from the log in batches, and reading them back exactly. An entry leaves the log only
when the lake durably holds it; a move that was interrupted is found by what the lake holds, and not made twice. Does
not belong here: judging whether the chain is whole (``audit_verify``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from omgov_assets.access_control.audit_chain import GENESIS, ChainWalk, Decision, Entry, content_of
from omgov_assets.access_control.audit_log import AuditLog, AuditUnavailableError, Stored, log_path
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.data_lake.sql import read_sql

AUDIT = "audit/access"
# What one commit of the lake takes at most, so that memory is bounded.
BATCH_ENTRIES = 20_000

_ENTRIES_SQL = read_sql(Path(__file__).with_name("audit_entries.sql"))
_LAST_SQL = "SELECT seq, hash FROM stored WHERE seq > ? ORDER BY seq DESC LIMIT 1"


def open_log(lake: Lake, folder: Path) -> AuditLog:
    """Open the audit log of a home.

    Args:
        lake: the home's lake.
        folder: ``OMGOV_HOME/audit``.

    Raises:
        AuditUnavailableError: the log cannot be used; or it is gone, and the lake shows that there was one.
    """
    if not log_path(folder).is_file() and lake.version(AUDIT) is not None:
        raise AuditUnavailableError(
            f"{log_path(folder)} is gone, and {AUDIT} shows that there was one; restore it, or go on without it by "
            "`omgov audit recover`"
        )
    return AuditLog(folder)


def recover(lake: Lake, folder: Path, at: datetime, principal: str, reason: str) -> AuditLog:
    """Begin a new log after the last entry in the lake, where the log was lost. That this was done is recorded.

    Whatever was in the lost log and not in the lake stays lost; anchors tell how much that was.

    Raises:
        AuditUnavailableError: there is a log.
    """
    with storing(lake):
        path = log_path(folder)
        if path.is_file() and path.stat().st_size:
            raise AuditUnavailableError(f"{path} is there; move it away first if it cannot be restored")
        last = _last_in_lake(lake, 0)
        log = AuditLog(folder, last)
        try:
            log.record(
                Decision(at, principal, "audit", "notice", f"log lost, goes on after entry {last.seq}: {reason}")
            )
        except AuditUnavailableError:
            log.close()
            raise
    return log


def store_entries(lake: Lake, log: AuditLog, batch_entries: int = BATCH_ENTRIES) -> int:
    """Move the entries of the log into the lake; returns how many.

    Decisions are recorded meanwhile. Killed at any step and called again, it ends in the same rows.

    Raises:
        AuditUnavailableError: log and lake contradict each other, or an entry cannot be read.
    """
    moved = 0
    with storing(lake):
        stored = log.stored()
        if lake.version(AUDIT) != stored.lake_version:
            # Whoever moved entries last has died before saying so, or the table was maintained.
            last = _last_in_lake(lake, stored.seq, stored.hash)
            log.mark_stored(last.seq, last.hash, last.lake_version)
        while entries := log.entries(log.stored().seq, batch_entries):
            _require_chain(log.stored(), entries)
            for day, run in groupby(entries, lambda entry: entry.day):
                rows = list(run)
                version = lake.append(AUDIT, date.fromisoformat(day), _table(lake, rows))
                log.mark_stored(rows[-1].seq, rows[-1].hash, version)
                moved += len(rows)
    return moved


def entries_in_lake(lake: Lake, batch_rows: int = 10_000) -> Iterator[tuple[str, Entry]]:
    """All entries that the lake holds, by number, each with the day of its partition."""
    with lake.connect() as con:
        lake.register(con, "stored", AUDIT, None)
        for batch in con.sql(_ENTRIES_SQL).to_arrow_reader(batch_rows):
            for row in batch.to_pylist():
                yield row["day"], Entry(row["seq"], row["previous_hash"], content_of(row), row["hash"])


@contextmanager
def storing(lake: Lake) -> Iterator[None]:
    """Nobody else moves entries into the lake meanwhile."""
    with sole_holder(lake.root.parent, "audit-store"):
        yield


def flat(entry: Entry) -> dict[str, Any]:
    """An entry as one flat object."""
    fields = entry.fields
    return {"seq": entry.seq} | fields | {"previous_hash": entry.previous_hash, "hash": entry.hash}


def _last_in_lake(lake: Lake, after: int, hash_before: str | None = None) -> Stored:
    with lake.connect() as con:
        version = lake.register(con, "stored", AUDIT, None)
        rows = con.execute(_LAST_SQL, [after]).fetchall()
    seq, hashed = rows[0] if rows else (after, hash_before or GENESIS)
    return Stored(seq, hashed, version)


def _require_chain(stored: Stored, entries: list[Entry]) -> None:
    """What was tampered with in the log does not get into a table in which nothing can be set right."""
    walk = ChainWalk("log", stored.seq, stored.hash)
    for entry in entries:
        finding = walk.step(entry)
        if finding is not None:
            raise AuditUnavailableError(f"log of the audit: {finding.explanation}; see `omgov audit verify`")


def table_of(lake: Lake, stored: Stored, entries: list[Entry]) -> pa.Table:
    """Entries of the log, which follow what is stored, as rows of ``audit/access``.

    Raises:
        AuditUnavailableError: they do not follow each other.
    """
    _require_chain(stored, entries)
    return _table(lake, entries)


def _table(lake: Lake, entries: list[Entry]) -> pa.Table:
    return pa.Table.from_pylist([_row(entry) for entry in entries], lake.schema(AUDIT).arrow)


def _row(entry: Entry) -> Mapping[str, Any]:
    row = flat(entry)
    at = datetime.fromisoformat(row["at"])
    return row | {"day": at.date(), "at": at}
