"""``omgov standard``: the metric standard of a day, and how far the business systems are from it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

import typer

from omgov_assets.cli.options import Day, HomeToRead, Output, Project, lake_of, published_day
from omgov_assets.cli.output import Format, emit, fail

standard_app = typer.Typer(help="The metric standard, and how far the firm is from it.", no_args_is_help=True)

# The columns of the standard that a list on a terminal has room for; JSON and CSV carry everything.
_LISTED = ("metric", "unit", "instrument", "value_type", "interval_s", "ci_classes", "stability", "renamed_to")


@standard_app.command("coverage")
def coverage(day: Day = None, output: Output = Format.TABLE, home: HomeToRead = None, project: Project = None) -> None:
    """How far each business system is from the standard: definitions, mapped, conforming, retired ones in use."""
    from omgov_assets.model_management.control import STANDARD_METRICS
    from omgov_assets.quality_analysis.standard_coverage import standard_coverage

    lake = lake_of(home, project)
    chosen = published_day(lake, day, STANDARD_METRICS)
    rows = standard_coverage(lake, chosen)
    if output is Format.TABLE:
        rows = [_with_percent_signs(row) for row in rows]
    emit(rows, output, f"Coverage of the standard, {chosen}", "no system has metrics in the lake")


@standard_app.command("list")
def list_metrics(
    stability: Annotated[
        str | None, typer.Option("--stability", help="Only stable, development, deprecated or withdrawn ones.")
    ] = None,
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """The standard metrics as published for a day."""
    from omgov_assets.model_management.control import STANDARD_METRICS
    from omgov_assets.quality_analysis.standard_coverage import standard_metrics

    lake = lake_of(home, project)
    chosen = published_day(lake, day, STANDARD_METRICS)
    rows = [row for row in standard_metrics(lake, chosen) if stability in (None, row["stability"])]
    if output is Format.TABLE:
        rows = [{name: row[name] for name in _LISTED} for row in rows]
    emit(rows, output, f"Metric standard, {chosen}", "no such standard metric")


@standard_app.command("show")
def show(
    metric: Annotated[str, typer.Argument(help="Standard metric.")],
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """One standard metric, and the source metrics that are mapped to it."""
    from omgov_assets.model_management.control import STANDARD_METRICS
    from omgov_assets.quality_analysis.standard_coverage import standard_metric_use, standard_metrics

    lake = lake_of(home, project)
    chosen = published_day(lake, day, STANDARD_METRICS)
    published = {row["metric"]: row for row in standard_metrics(lake, chosen)}
    if metric not in published:
        near = get_close_matches(metric, published, n=3, cutoff=0.5)
        hint = f"is it {', '.join(near)}?" if near else "`omgov standard list` prints all"
        fail(f"{metric}: not in the standard of {chosen}; {hint}")
    definition, use = published[metric], standard_metric_use(lake, chosen, metric)
    if output is not Format.TABLE:
        mapped = [f"{row['system']}: {row['source_metric']}" for row in use]
        emit([definition | {"source_metrics": mapped, "instances": sum(row["instances"] for row in use)}], output)
        return
    emit([{"field": name, "value": value} for name, value in definition.items() if value is not None], output, metric)
    emit(use, output, f"Mapped to it, {chosen}", "no source metric is mapped to it")


def _with_percent_signs(row: dict[str, Any]) -> dict[str, Any]:
    """Shares as a terminal shows them, under shorter names."""
    return {
        name.replace("_percent", " %"): f"{value:.1f}%" if name.endswith("_percent") and value is not None else value
        for name, value in row.items()
    }
