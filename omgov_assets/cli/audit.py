"""``omgov audit``: whether the record of access decisions is whole, what it says, and heads of it to keep elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from omgov_assets.access_control.audit_anchor import AnchorKeyError, anchor_key, read_anchors, write_anchor
from omgov_assets.access_control.audit_chain import OUTCOMES, Decision
from omgov_assets.access_control.audit_lake import AUDIT, open_log, recover, store_entries
from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.audit_verify import Verification, verify
from omgov_assets.cli.export import AsPrincipal, Purpose, opened_door
from omgov_assets.cli.files import require_known_ending, write_file
from omgov_assets.cli.options import Home, Output, Project, lake_of, parsed_day
from omgov_assets.cli.output import PLATFORM_FAILURE, Format, emit, fail, notice
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.access_control.governed_query import Operator

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
    out: Annotated[
        Path, typer.Option("--out", help="File to write: .csv, .xlsx, .json, .ndjson, .parquet or .arrows.")
    ],
    user: AsPrincipal,
    purpose: Purpose = None,
    first: Annotated[str | None, typer.Option("--from", help="First UTC day, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last UTC day, YYYY-MM-DD.")] = None,
    principal: Annotated[str | None, typer.Option("--principal", help="Only decisions about this principal.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", help="Only decisions about this dataset.")] = None,
    decision: Annotated[str | None, typer.Option("--decision", help=f"Only {', '.join(OUTCOMES)}.")] = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Write entries of the audit, in their order, as the principal may see them; what is in the log is stored first.

    Exit code 2 where the principal may not read the audit. That it was exported is an entry of its own.
    """
    # What it needs takes seconds to import, and other commands do not need it.
    from omgov_assets.access_control.governed_query import Condition, Query, QueryError

    require_known_ending(out)
    if decision not in (None, *OUTCOMES):
        fail(f"--decision {decision}: no such decision; choose one of {', '.join(OUTCOMES)}")
    first_day, last_day = (parsed_day(text) if text else None for text in (first, last))
    asked: tuple[tuple[str, Operator, str | date | None], ...] = (
        ("day", ">=", first_day),
        ("day", "<=", last_day),
        ("principal", "=", principal),
        ("dataset", "=", dataset),
        ("decision", "=", decision),
    )
    conditions = tuple(Condition(*one) for one in asked if one[2] is not None)
    settings, lake = Settings.from_environment(home, project), lake_of(home, project)
    with opened_door(settings) as door:
        with open_log(lake, settings.audit) as log:
            store_entries(lake, log)
        who = door.principal(user, purpose)
        seen = door.column_types(who, AUDIT, "export")
        # By number first, which is the order of the entries; the day only says where they are kept.
        columns = ("seq", *(name for name in seen if name not in ("seq", "day")))
        try:
            with door.extract(who, AUDIT, Query(columns, conditions)) as rows:
                count = write_file(out, rows.to_arrow_reader(10_000), settings.tmp)
        except QueryError as error:
            fail(str(error))
    notice(f"{out}: {count:,} entries")


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


@contextmanager
def recorded(home: Path | None, project: Path | None, user: str, of: str, act: str) -> Iterator[datetime]:
    """An act of somebody at the command line, on record before it is done; ends the command where it cannot be.

    Args:
        home: home.
        project: project.
        user: who does it.
        of: what it is done to, as the audit names it.
        act: what is done.

    Yields:
        The time that is on record.
    """
    settings, now = Settings.from_environment(home, project), datetime.now(UTC)
    try:
        with open_log(lake_of(home, project), settings.audit) as log:
            log.record(Decision(now, user, of, "notice", act))
            yield now
    except AuditUnavailableError as error:
        fail(str(error))


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
