"""``omgov evaluate``: what was found of a simulated firm against what was planted in it.

Does not belong here: the comparison (``quality_analysis.evaluate``, ``exception_management.member_evaluation``).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from omgov_assets.cli.analysis import ANALYSED, SHOWN_ON_A_TERMINAL
from omgov_assets.cli.options import Day, HomeToRead, Output, Project, day_or_last
from omgov_assets.cli.output import PLATFORM_FAILURE, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings


def evaluate(
    day: Day = None,
    truth: Annotated[Path | None, typer.Option(help="Folder of <day>.parquet. Default the home's truth/.")] = None,
    root_causes: Annotated[bool, typer.Option("--root-causes", help="The causes instead of the anomalies.")] = False,
    members: Annotated[
        bool,
        typer.Option("--members", help="The members of cases whose state is not the true one; exit code 1 if any."),
    ] = False,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Compare the anomalies found with a ground truth, per anomaly type; or root causes, or members of cases."""
    from omgov_assets.quality_analysis.evaluate import NoGroundTruthError, evaluate_causes
    from omgov_assets.quality_analysis.evaluate import evaluate as compare

    settings = Settings.from_environment(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    chosen = day_or_last(lake, ANALYSED, day)
    folder = truth or settings.truth
    if root_causes and members:
        fail("--root-causes and --members are two evaluations: ask for one")
    if members:
        _evaluate_members(lake, settings, chosen, folder, output)
        return
    try:
        rows = (evaluate_causes if root_causes else compare)(lake, chosen, folder)
    except NoGroundTruthError as error:
        fail(str(error))
    if not root_causes:
        emit(rows, output, f"Found of planted, {chosen}")
        return
    shown = rows[:SHOWN_ON_A_TERMINAL] if output is Format.TABLE else rows
    emit(shown, output, f"Causes found of those planted, {chosen}")
    found, explained = sum(row["is_found"] for row in rows), sum(row["explained"] for row in rows)
    anomalies = sum(row["anomalies"] for row in rows)
    notice(f"{found:,} of {len(rows):,} causes found; {explained:,} of their {anomalies:,} anomalies rightly assigned")


def _evaluate_members(lake: Lake, settings: Settings, day: date, folder: Path, output: Format) -> None:
    from omgov_assets.exception_management.member_evaluation import evaluate_members
    from omgov_assets.exception_management.rules import CaseRules
    from omgov_assets.model_management.governance import load_governance
    from omgov_assets.quality_analysis.case_tables import CASES
    from omgov_assets.quality_analysis.evaluate import NoGroundTruthError

    if day not in lake.days(CASES):
        fail(f"{day} has no cases: govern it first with `omgov run --day {day}`")
    try:
        found = evaluate_members(lake, day, CaseRules.of(load_governance(settings.project)), folder)
    except NoGroundTruthError as error:
        fail(str(error))
    shown = found.differing[:SHOWN_ON_A_TERMINAL] if output is Format.TABLE else found.differing
    title = f"Members of cases that are not what they are in truth, {day}"
    emit(shown, output, title, f"all members of {day} are what they are in truth")
    notice(f"{found.subjects - len(found.differing):,} of {found.subjects:,} subjects have their true state")
    if found.differing:
        raise typer.Exit(PLATFORM_FAILURE)
