"""``omgov import-catalogue`` and ``omgov catalogue diff``: definitions of real tools, and how they change."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from omgov_assets.cli.options import Home, Project, parsed_day
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.sources import MissingCatalogueError

catalogue_app = typer.Typer(help="Metric catalogues of tools.", no_args_is_help=True)

SHOWN_CHANGES = 20

Output = Annotated[Format, typer.Option("--output", help="How to print.")]


def import_catalogue(
    path: Annotated[Path, typer.Argument(help="Folder, file (also .gz, .xz, .bz2) or archive (.zip, .tar.*).")],
    catalogue_format: Annotated[CatalogueFormat, typer.Option("--format", help="Whose catalogue it is.")],
    system: Annotated[str, typer.Option("--system", help="Business system; made where there is none of this name.")],
    day: Annotated[str | None, typer.Option("--day", help="Business day, YYYY-MM-DD. Default today.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Mail of who answers for a new system.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Name for people of a new system.")] = None,
    output: Output = Format.TABLE,
    home: Home = None,
    project: Project = None,
) -> None:
    """Import a tool's catalogue as metric definitions, and report what is wrong with it."""
    from omgov_assets.data_management.catalogues.importing import count_findings
    from omgov_assets.data_management.catalogues.importing import import_catalogue as import_into_lake
    from omgov_assets.data_management.catalogues.scaffolding import RefusedImportError
    from omgov_assets.model_management.governance import load_governance

    settings = Settings.from_environment(home, project)
    governance = load_governance(settings.project)
    chosen = parsed_day(day) if day else datetime.now(governance.firm.zone).date()
    if chosen < governance.firm.first_day:
        fail(f"--day {chosen}: the firm's first day is {governance.firm.first_day} (governance/firm.yaml)")
    lake = Lake(settings.lake, settings.dataset_contracts)
    try:
        result = import_into_lake(
            settings, lake, governance, path, catalogue_format, system, chosen, owner=owner, title=title
        )
    except (MissingCatalogueError, RefusedImportError) as error:
        fail(str(error))
    counts = count_findings(result.findings)
    if output is Format.TABLE:
        counts = [_finding_row(row) for row in counts]
    emit(counts, output, f"What is wrong with the catalogue, {chosen}", "nothing is wrong with the catalogue")
    if result.scaffolded:
        notice(f"{result.scaffolded}: made for this import; say in defs.yaml whose it is, and review it like code")
    batch = result.batch
    if batch is None:
        notice(f"{path}: no metric definition could be read; nothing was imported")
    elif batch["decision"] == "refused":
        notice(f"{system}/metric_definitions: refused: {batch['reason']}")
    else:
        notice(
            f"{system}/metric_definitions of {chosen}: {batch['rows_admitted']:,} of {result.definitions:,} "
            f"definitions admitted, batch {batch['batch_id']}"
        )
    notice(f"report: {result.report}")
    raise typer.Exit(0 if result.clean else SOMETHING_REFUSED)


@catalogue_app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="Former catalogue, or the Parquet file of its import.")],
    after: Annotated[Path, typer.Argument(help="Latter catalogue, or the Parquet file of its import.")],
    catalogue_format: Annotated[
        CatalogueFormat | None, typer.Option("--format", help="Whose catalogues they are; not needed for Parquet.")
    ] = None,
    output: Output = Format.TABLE,
    project: Project = None,
) -> None:
    """What changed between two snapshots of a catalogue: added, removed, renamed, type changed, unit changed."""
    from omgov_assets.data_management.catalogues.drift import compare_catalogues, count_changes, read_snapshot
    from omgov_assets.model_management.units import UnitTable

    spellings = Settings.from_environment(None, project).governance / "standard" / "unit_spellings.yaml"
    units = UnitTable.load(spellings) if spellings.is_file() else None
    try:
        former, latter = read_snapshot(before, catalogue_format), read_snapshot(after, catalogue_format)
    except MissingCatalogueError as error:
        fail(str(error))
    changes = compare_catalogues(former, latter, units)
    rows: list[dict[str, Any]] = [
        {
            "change": change.change,
            "source_metric": change.source_metric,
            "before": change.before,
            "after": change.after,
            "reason": change.reason,
        }
        for change in changes
    ]
    if output is not Format.TABLE:
        emit(rows, output)
        return
    counts = count_changes(changes)
    emit([{"change": kind, "metrics": count} for kind, count in counts.items()], output, "Changes")
    for kind, count in counts.items():
        shown = [row for row in rows if row["change"] == kind][:SHOWN_CHANGES]
        if shown:
            emit(shown, output, f"{kind.replace('_', ' ').capitalize()}, {len(shown)} of {count:,}")


def _finding_row(row: dict[str, Any]) -> dict[str, Any]:
    """What of a kind of finding fits a terminal; JSON and CSV carry everything."""
    where = f"{row['example_file']}:{row['example_line']}" if row["example_line"] else row["example_file"]
    return {
        "kind": row["kind"],
        "findings": row["findings"],
        "refused": row["refused"] or "",
        "for_example": where,
        "metric": row["example_metric"] or "",
        "detail": row["example"],
    }
