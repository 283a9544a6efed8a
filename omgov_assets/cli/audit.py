"""``omgov audit``: whether the record of access decisions is whole, what it says, and heads of it to keep elsewhere."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from omgov_assets.access_control.audit_anchor import AnchorKeyError, anchor_key, read_anchors, write_anchor
from omgov_assets.access_control.audit_chain import OUTCOMES, Decision
from omgov_assets.access_control.audit_export import Wanted, exported
from omgov_assets.access_control.audit_lake import open_log, recover, store_entries
from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.audit_verify import Verification, verify
from omgov_assets.cli.options import Home, Output, Project, lake_of, parsed_day
from omgov_assets.cli.output import PLATFORM_FAILURE, Format, defused, emit, fail, notice
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

audit_app = typer.Typer(help="The record of every access decision.", no_args_is_help=True)

User = Annotated[str, typer.Option("--as", help="Who does it; gets on record.")]
AnchorFile = Annotated[
    Path | None, typer.Option("--anchors", help="File of heads that were kept elsewhere; OMGOV_AUDIT_KEY proves them.")
]


@audit_app.command("verify")
def verify_audit(
    anchors: AnchorFile = None, output: Output = Format.TABLE, home: Home = None, project: Project = None
) -> None:
    """Go along the whole chain: what was altered, removed, reordered or cut off is listed. Exit code 1 where any is."""
    verification = _verified(anchors, home, project)
    emit([asdict(finding) for finding in verification.findings], output, "Findings", "the chain is whole")
    notice(
        f"{verification.in_lake:,} entries in the lake, {verification.in_log:,} in the log; "
        f"head {verification.seq} {verification.hash}"
    )
    if anchors is None:
        notice("a chain that was cut or written anew everywhere is only found with --anchors")
    raise typer.Exit(PLATFORM_FAILURE if verification.findings else 0)


@audit_app.command("anchor")
def anchor(
    to: Annotated[Path, typer.Option("--to", help="File that the signed head is added to; keep it elsewhere.")],
    home: Home = None,
    project: Project = None,
) -> None:
    """Add the head of the chain, signed with OMGOV_AUDIT_KEY, to a file. A chain that is not whole is not anchored."""
    try:
        key = anchor_key(os.environ)
    except AnchorKeyError as error:
        fail(str(error))
    verification = _verified(to if to.exists() else None, home, project)
    if verification.findings:
        fail(f"the chain is not whole: {verification.findings[0].explanation}; see `omgov audit verify`")
    try:
        write_anchor(to, verification.seq, verification.hash, datetime.now(UTC), key)
    except OSError as error:
        fail(f"{to} cannot be written ({error})")
    notice(f"{to}: entry {verification.seq} is anchored")


@audit_app.command("store")
def store(home: Home = None, project: Project = None) -> None:
    """Move what is in the log into the lake's append-only audit/access."""
    lake, folder = lake_of(home, project), Settings.from_environment(home, project).audit
    try:
        with open_log(lake, folder) as log:
            moved = store_entries(lake, log)
    except AuditUnavailableError as error:
        fail(str(error))
    notice(f"{moved:,} entries moved into the lake")


@audit_app.command("export")
def export(
    out: Annotated[Path, typer.Option("--out", help="File to write; .csv, .json or .parquet says the format.")],
    user: User,
    first: Annotated[str | None, typer.Option("--from", help="First UTC day, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last UTC day, YYYY-MM-DD.")] = None,
    principal: Annotated[str | None, typer.Option("--principal", help="Only decisions about this principal.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only decisions about this dataset.")] = None,
    decision: Annotated[str | None, typer.Option("--decision", help=f"Only {', '.join(OUTCOMES)}.")] = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Write entries of the audit. That they were exported, by whom, gets on record first."""
    write = _WRITERS.get(out.suffix.lower())
    if write is None:
        fail(f"{out}: name a file that ends in {', '.join(_WRITERS)}")
    if decision not in (None, *OUTCOMES):
        fail(f"--decision {decision}: no such decision; choose one of {', '.join(OUTCOMES)}")
    first_day, last_day = (parsed_day(text) if text else None for text in (first, last))
    wanted = Wanted(first_day, last_day, principal, dataset, decision)
    said = ", ".join(f"{name} {value}" for name, value in asdict(wanted).items() if value) or "all"
    lake, folder = lake_of(home, project), Settings.from_environment(home, project).audit
    part = out.with_name(f".{out.name}.part")
    try:
        with open_log(lake, folder) as log:
            log.record(Decision(datetime.now(UTC), user, "audit/access", "notice", f"audit exported: {said}"))
            with exported(lake, log, wanted) as reader, part.open("wb") as file:
                rows = write(file, reader)
        part.replace(out)
    except AuditUnavailableError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{out} cannot be written ({error})")
    finally:
        part.unlink(missing_ok=True)
    notice(f"{out}: {rows:,} entries")


@audit_app.command("recover")
def recover_log(
    user: User,
    reason: Annotated[str, typer.Option("--reason", help="Why the log is gone; gets on record.")],
    home: Home = None,
    project: Project = None,
) -> None:
    """Go on without a log that was lost, after the last entry in the lake. Anchors tell what was lost."""
    lake, folder = lake_of(home, project), Settings.from_environment(home, project).audit
    try:
        with recover(lake, folder, datetime.now(UTC), user, reason) as log:
            seq, _ = log.head()
    except AuditUnavailableError as error:
        fail(str(error))
    notice(f"the audit goes on with entry {seq}")


@audit_app.command("accept-clock")
def accept_clock(
    user: User,
    reason: Annotated[str, typer.Option("--reason", help="Why the clock is right; gets on record.")],
    home: Home = None,
    project: Project = None,
) -> None:
    """Let the clock's time count again although later decisions are on record."""
    lake, folder, now = lake_of(home, project), Settings.from_environment(home, project).audit, datetime.now(UTC)
    try:
        with open_log(lake, folder) as log:
            log.accept_clock(now, user, reason)
    except AuditUnavailableError as error:
        fail(str(error))
    notice(f"decisions are recorded from {now.isoformat(timespec='seconds')} on")


def _verified(anchors: Path | None, home: Path | None, project: Path | None) -> Verification:
    lake, folder = lake_of(home, project), Settings.from_environment(home, project).audit
    if anchors is None:
        return verify(lake, folder)
    try:
        read = read_anchors(anchors, anchor_key(os.environ))
    except (AnchorKeyError, OSError) as error:
        fail(f"anchors cannot be read: {error}")
    verification = verify(lake, folder, read.known)
    return Verification(**vars(verification) | {"findings": (*read.findings, *verification.findings)})


def _write_csv(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    rows = 0
    # With a byte order mark, which spreadsheets need to read Chinese as such.
    file.write(b"\xef\xbb\xbf")
    writer = csv.writer(_Text(file), lineterminator="\r\n")
    writer.writerow(reader.schema.names)
    for batch in reader:
        for row in batch.to_pylist():
            writer.writerow([defused(value) for value in row.values()])
            rows += 1
    return rows


def _write_json(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    rows = 0
    for batch in reader:
        for row in batch.to_pylist():
            text = json.dumps(row, ensure_ascii=False, default=_json_value)
            file.write((",\n" if rows else "[\n").encode() + text.encode())
            rows += 1
    file.write(b"\n]\n" if rows else b"[]\n")
    return rows


def _write_parquet(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


class _Text:
    """A file of bytes as one of text that stays open."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


def _json_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_WRITERS: dict[str, Callable[[IO[bytes], pa.RecordBatchReader], int]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
}
