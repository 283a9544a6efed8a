"""``omgov control``: the control information of a day, and what changed between two days."""

from __future__ import annotations

from typing import Annotated

import typer

from omgov_assets.cli.options import Day, HomeToRead, Output, Project, lake_of, published_day
from omgov_assets.cli.output import Format, emit, fail, notice

control_app = typer.Typer(help="The control information that a day was judged by.", no_args_is_help=True)

# The columns that a terminal has room for; JSON and CSV carry everything.
_SHOWN = {
    "documents": ("path", "kind", "version", "content_hash", "author", "commit"),
    "standard_metrics": ("metric", "unit", "instrument", "stability", "since", "owner", "document", "author"),
    "metric_mappings": ("system", "position", "match", "regex", "metric", "unit", "attributes", "author"),
    "processing_models": ("system", "dataset", "kind", "metric", "version", "owner", "content_hash", "author"),
    "baseline_metrics": ("ci_class", "tier", "metric", "document", "author"),
    "quality_policies": ("system", "dataset", "policy_id", "severity", "expected", "author"),
    "data_contracts": ("system", "dataset", "version", "decision", "change", "reason", "document", "author"),
}


@control_app.command("show")
def show(
    table: Annotated[str, typer.Argument(help="Table below control/; documents lists the files.")] = "documents",
    day: Day = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """Print a table of control information as it was published for a day: by default the files, with version, hash and
    author.
    """
    from omgov_assets.model_management.control import published_rows
    from omgov_assets.model_management.control_diff import CONTROL_TABLES

    _require_table(table)
    lake = lake_of(home, project)
    name = CONTROL_TABLES[table].table
    chosen = published_day(lake, day, name)
    rows = published_rows(lake, name, chosen)
    if output is Format.TABLE:
        rows = [{column: row[column] for column in _SHOWN[table]} for row in rows]
    emit(rows, output, f"{name}, {chosen}", f"{name} holds nothing for {chosen}")


@control_app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(metavar="DAY1", help="First day, YYYY-MM-DD.")],
    after: Annotated[str, typer.Argument(metavar="DAY2", help="Second day, YYYY-MM-DD.")],
    table: Annotated[str | None, typer.Option("--table", help="One table below control/. Default all.")] = None,
    output: Output = Format.TABLE,
    home: HomeToRead = None,
    project: Project = None,
) -> None:
    """What changed in the control information from one day to another: what was added, removed and changed, field by
    field.
    """
    from omgov_assets.model_management.control import STANDARD_METRICS
    from omgov_assets.model_management.control_diff import CONTROL_TABLES, control_diff

    if table is not None:
        _require_table(table)
    lake = lake_of(home, project)
    first, second = (published_day(lake, text, STANDARD_METRICS) for text in (before, after))
    names = [table] if table else list(CONTROL_TABLES)
    for name in names:
        for day in (first, second):
            if not lake.has_day(f"control/{name}", day):
                notice(f"control/{name} holds nothing for {day}")
    rows = control_diff(lake, first, second, names)
    emit(rows, output, f"Control information, {first} to {second}", "nothing changed")


def _require_table(name: str) -> None:
    from omgov_assets.model_management.control_diff import CONTROL_TABLES

    if name not in CONTROL_TABLES:
        fail(f"{name}: no such table; choose one of {', '.join(CONTROL_TABLES)}")
