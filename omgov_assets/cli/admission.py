"""``omgov admission`` and ``omgov replay``: what the gate decided of each delivery, and taking in what was refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omgov_assets.cli.options import Home, HomeToRead, Output, Project, dataset_of, day_or_last, lake_of, parsed_day
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.model_management.governance import Governance

admission_app = typer.Typer(help="What the gate decided of each delivery.", no_args_is_help=True)

LEDGER = "admission/ledger"
DECISIONS = ("admitted", "partial", "refused", "repeated", "superseded")
SHOWN_RECORDS = 20

System = Annotated[str | None, typer.Option("--system", help="Business system.")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Dataset.")]


@admission_app.command("list")
def list_batches(
    day: Annotated[
        str | None, typer.Option("--day", help="Business day, YYYY-MM-DD, or 'all'. Default the last.")
    ] = None,
    system: System = None,
    dataset: Dataset = None,
    decision: Annotated[
        str | None, typer.Option("--decision", help=f"Only batches of this decision: {', '.join(DECISIONS)}.")
    ] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The batches of a day: decision, records in, admitted and quarantined, with their reasons."""
    from omgov_assets.admission.ledger import read_ledger

    if decision is not None and decision not in DECISIONS:
        fail(f"--decision {decision}: no such decision; choose one of {', '.join(DECISIONS)}")
    lake = lake_of(home, project)
    chosen = None if day == "all" else day_or_last(lake, LEDGER, day)
    entries = [e for e in read_ledger(lake, chosen, system, dataset) if decision in (None, e["decision"])]
    rows = [_summary(entry, with_day=chosen is None) for entry in entries] if output is Format.TABLE else entries
    emit(rows, output, f"Batches of {chosen or 'all days'}", "no such batch was delivered")


@admission_app.command("show")
def show_batch(
    batch: Annotated[str, typer.Argument(help="Batch id, or the beginning of it.")],
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Everything about one batch: its decision, what it was judged by, and its refused records with their reasons.

    The refused records are printed as they were delivered, but for values that are graded above what all may see.
    """
    from omgov_assets.admission.ledger import in_force, read_ledger
    from omgov_assets.model_management.governance import load_governance

    settings = Settings.from_environment(home, project)
    lake, governance = Lake(settings.lake, settings.dataset_contracts), load_governance(settings.project)
    entries = [entry for entry in read_ledger(lake, None) if entry["batch_id"].startswith(batch)]
    if not entries:
        fail(f"{batch}: no such batch in {LEDGER}; `omgov admission list --day all` names them")
    ids = sorted({entry["batch_id"] for entry in entries})
    if len(ids) > 1:
        fail(f"{batch} is the beginning of {len(ids)} batches: {', '.join(ids)}; give more digits")
    refused = [row for entry in entries if in_force(entry) for row in _refused_records(lake, governance, entry)]
    if output is Format.TABLE:
        for entry in entries:
            facts = [{"": name, "value": _words(value)} for name, value in entry.items() if value not in (None, "{}")]
            emit(facts, output, f"Batch {entry['batch_id']}")
        if refused:
            shown = refused[:SHOWN_RECORDS]
            emit(shown, output, f"Refused records, {len(shown)} of {len(refused)}")
    else:
        emit(refused or entries, output)


def replay(
    system: Annotated[str, typer.Option("--system", help="Business system.")],
    dataset: Annotated[str, typer.Option("--dataset", help="Dataset.")],
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="Only what was refused for this reason code, or codes that begin with it."),
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", help="Only this batch.")] = None,
    day: Annotated[str | None, typer.Option("--day", help="Only this business day, YYYY-MM-DD.")] = None,
    output: Output = Format.TABLE,
    home: Home = None,
    project: Project = None,
) -> None:
    """Judge what was refused by today's contract, model and policies; what passes is admitted under its original day.

    Exit code 2 where something stays refused. Replaying twice changes nothing.
    """
    from omgov_assets.admission.replay import Selection
    from omgov_assets.admission.replay import replay as replay_refused
    from omgov_assets.model_management.governance import load_governance

    settings = Settings.from_environment(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    governance = load_governance(settings.project)
    business, source = dataset_of(governance, system, dataset)
    selection = Selection(parsed_day(day) if day else None, batch, reason)
    batches = replay_refused(lake, governance, business, source, settings.landing, selection)
    rows = [
        {
            "day": one.day.isoformat(),
            "batch": one.batch_id,
            "file": one.file_name.rpartition("/")[2],
            "replayed": one.replayed,
            "admitted": one.admitted,
            "still_refused": one.refused,
            "reasons": _counts(one.reasons),
            "remark": one.remark or "",
        }
        for one in batches
    ]
    emit(rows, output, f"Replay of {system}/{dataset}", "nothing that was refused fits the selection")
    for changed in sorted({one.day for one in batches if one.admitted}):
        notice(f"omgov run --inventory --day {changed} checks and ranks what came in")
    raise typer.Exit(SOMETHING_REFUSED if any(one.refused for one in batches) else 0)


def _refused_records(lake: Lake, governance: Governance, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    from omgov_assets.admission.refused_records import shown_payload

    system = governance.systems.get(entry["system"])
    dataset = system.datasets.get(entry["dataset"]) if system else None
    columns = dataset.source_contract.columns if dataset else ()
    with lake.connect() as con:
        lake.register(con, "quarantine", f"{entry['system']}/{entry['dataset']}_quarantine", entry["day"])
        rows = con.execute(
            "SELECT _record_no, reasons, reason, payload FROM quarantine WHERE _batch_id = ? ORDER BY 1",
            [entry["batch_id"]],
        ).fetchall()
    return [
        {"record": number, "reasons": reasons, "reason": reason, "payload": shown_payload(payload, reasons, columns)}
        for number, reasons, reason, payload in rows
    ]


def _summary(entry: Mapping[str, Any], *, with_day: bool) -> dict[str, Any]:
    """What of a ledger entry fits a terminal; JSON and CSV carry everything."""
    reasons = json.loads(entry["quarantine_reasons"] or "{}")
    return {
        "day": entry["day"].isoformat() if with_day else "",
        "system": entry["system"],
        "dataset": entry["dataset"],
        "batch": entry["batch_id"],
        "file": entry["file_name"].rpartition("/")[2],
        "decision": entry["decision"],
        "rows_in": entry["rows_in"],
        "admitted": entry["rows_admitted"],
        "warned": entry["rows_warned"] or 0,
        "quarantined": entry["rows_quarantined"],
        "why": entry["reason"] or _counts(reasons),
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count:,})" for name, count in counts.items())


def _words(value: Any) -> str:
    if isinstance(value, str) and value.startswith("{"):
        return _counts(json.loads(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
