"""``omgov run``: a progress bar while the night runs, then one line per batch and the time of each step."""

from __future__ import annotations

import os
import sys
import time
from datetime import date, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from omgov_assets.admission.ledger import ledger_entries
from omgov_assets.cli.output import PLATFORM_FAILURE, SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.governance import load_firm
from omgov_assets.quality_policy.violations import CHECK_RESULTS, DERIVATION_BLOCKED, NOT_DELIVERED, VIOLATIONS


def govern(settings: Settings, day: date | None, *, inventory: bool) -> int:
    """Run a day (default yesterday, as the nightly schedule does) and print what came of it; returns the exit code."""
    firm = load_firm(settings.project)
    if day is None:
        day = (datetime.now(firm.zone) - timedelta(days=1)).date()
    if day < firm.first_day:
        fail(f"--day {day}: the firm's first day is {firm.first_day} (governance/firm.yaml)")
    started = time.monotonic()
    # Dagster captures the standard streams of a step: the bar keeps a stream of its own.
    terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w")
    console = Console(file=terminal)
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not terminal.isatty()) as progress:
        bar = progress.add_task("starting", total=None)
        from omgov_assets.defs.jobs import INVENTORY, NIGHTLY
        from omgov_assets.defs.night import StepProgress, run_night

        def show(step: StepProgress) -> None:
            progress.update(bar, description=step.step, completed=step.done, total=step.total)

        result = run_night(settings, day, INVENTORY if inventory else NIGHTLY, show)
    lake = Lake(settings.lake, settings.dataset_contracts)
    with lake.connect() as con:
        entries = ledger_entries(con, lake, day)
        lake.register(con, "violations", VIOLATIONS, day)
        lake.register(con, "check_results", CHECK_RESULTS, day)
        not_delivered = con.execute(
            "SELECT system, dataset FROM violations WHERE policy_id = ? ORDER BY ALL", [NOT_DELIVERED]
        ).fetchall()
        blocked = con.execute(
            "SELECT metric, observed FROM violations WHERE policy_id = ? ORDER BY ALL", [DERIVATION_BLOCKED]
        ).fetchall()
        unjudged = con.execute(
            "SELECT system, dataset, policy_id, verdict, reason FROM check_results "
            "WHERE verdict IN ('error', 'not_evaluated') ORDER BY ALL"
        ).fetchall()
    emit(
        [_batch_row(entry) for entry in entries], Format.TABLE, f"Batches of {day}", f"no batch was delivered for {day}"
    )
    emit([{"step": step, "seconds": round(s, 2)} for step, s in result.step_seconds.items()], Format.TABLE, "Steps")
    for step, reason in result.failures.items():
        notice(f"omgov: step {step} failed: {reason}")
    for check, said in result.broken_checks.items():
        notice(f"omgov: {check}: {said}")
    for system, dataset in not_delivered:
        notice(f"{system}/{dataset}: nothing was delivered for {day}")
    for metric, reason in blocked:
        notice(f"{metric} is not derived: {reason}")
    refused = [entry for entry in entries if entry["decision"] == "refused"]
    for entry in refused:
        notice(f"{entry['system']}/{entry['dataset']}: refused: {entry['reason']}")
    broken = [(*policy, reason) for *policy, verdict, reason in unjudged if verdict == "error"]
    for system, dataset, policy, reason in broken:
        notice(f"{system}/{dataset}: policy {policy} broke: {reason}")
    notice(f"governed {day} in {time.monotonic() - started:.1f} s")
    if not result.success or broken or result.broken_checks:
        return PLATFORM_FAILURE
    quarantined = any(entry["rows_quarantined"] for entry in entries)
    return SOMETHING_REFUSED if refused or not_delivered or quarantined or unjudged or blocked else 0


def _batch_row(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "system": entry["system"],
        "dataset": entry["dataset"],
        "file": entry["file_name"].rpartition("/")[2],
        "rows_in": entry["rows_in"],
        "admitted": entry["rows_admitted"],
        "quarantined": entry["rows_quarantined"],
        "decision": entry["decision"],
    }
