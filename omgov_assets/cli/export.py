"""``omgov export``: what a principal may see of a dataset, as a file. That it left, and what of it, is on record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omgov_assets.cli.files import require_known_ending, write_file
from omgov_assets.cli.options import Home, Project, parsed_day
from omgov_assets.cli.output import SOMETHING_REFUSED, fail, notice
from omgov_assets.data_lake.settings import Settings

if TYPE_CHECKING:
    from omgov_assets.access_control.enforcement import EnforcementPoint
    from omgov_assets.access_control.governed_query import Condition

AsPrincipal = Annotated[
    str,
    typer.Option(
        "--as",
        envvar="OMGOV_PRINCIPAL",
        help="Principal of governance/access/access.yaml that it is for; gets on record.",
    ),
]
Purpose = Annotated[
    str | None, typer.Option("--purpose", help="What it is for. Default the principal's first purpose.")
]
_CONDITION = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(!=|<=|>=|=|<|>)(.*)", re.DOTALL)


def export(
    dataset: Annotated[str, typer.Argument(help="Dataset, such as quality/anomalies.")],
    out: Annotated[
        Path, typer.Option("--out", help="File to write: .csv, .xlsx, .json, .ndjson, .parquet or .arrows.")
    ],
    principal: AsPrincipal,
    purpose: Purpose = None,
    day: Annotated[str | None, typer.Option("--day", help="Business day, YYYY-MM-DD. Default all of them.")] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="Column to write, once for each. Default all that there are.")
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="COLUMN=VALUE (also != < <= > >=) that rows must hold, once for each."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="Rows at most.")] = None,
    home: Home = None,
    project: Project = None,
) -> None:
    """Write what a principal sees of a dataset: its rows, its columns, masked as it sees them.

    Rows are in the order of the columns written. Exit code 2 where the principal may not read the dataset.
    """
    from omgov_assets.access_control.governed_query import Query, QueryError

    require_known_ending(out)
    settings = Settings.from_environment(home, project)
    with opened_door(settings) as door:
        try:
            who = door.principal(principal, purpose)
            types = door.column_types(who, dataset, "export")
            conditions = tuple(_condition(text, types) for text in where or ())
            query = Query(tuple(columns) if columns else None, conditions, limit)
            with door.extract(who, dataset, query, parsed_day(day) if day else None) as rows:
                count = write_file(out, rows.to_arrow_reader(10_000), settings.tmp)
        except QueryError as error:
            fail(str(error))
    notice(f"{out}: {count:,} rows of {dataset}")


@contextmanager
def opened_door(settings: Settings) -> Iterator[EnforcementPoint]:
    """The door of a home; a denial, or an audit that cannot be written, ends the command with a sentence."""
    from omgov_assets.access_control.audit_log import AuditUnavailableError
    from omgov_assets.access_control.enforcement import EnforcementPoint
    from omgov_assets.access_control.governed_query import AccessDeniedError

    try:
        with EnforcementPoint.of_home(settings) as door:
            try:
                yield door
            except AccessDeniedError as error:
                fail(door.closed or str(error), SOMETHING_REFUSED)
    except AuditUnavailableError as error:
        fail(str(error))


def _condition(text: str, types: dict[str, str]) -> Condition:
    from omgov_assets.access_control.governed_query import Condition

    matched = _CONDITION.fullmatch(text)
    if matched is None:
        fail(f"--where {text!r}: write COLUMN=VALUE, or another of != < <= > >=")
    column, value = matched[1], matched[3]
    operator: Any = matched[2]
    try:
        sql_type = types.get(column, "VARCHAR")
        typed = _typed(value if sql_type == "VARCHAR" else value.strip(), sql_type)
    except ValueError:
        fail(f"--where {text!r}: {column} is {types[column]}, which {value!r} is not")
    return Condition(column, operator, typed)


def _typed(text: str, sql_type: str) -> Any:
    match sql_type:
        case "BIGINT":
            return int(text)
        case "DOUBLE":
            return float(text)
        case "BOOLEAN":
            if text not in ("true", "false"):
                raise ValueError(text)
            return text == "true"
        case "DATE":
            return date.fromisoformat(text)
        case "TIMESTAMPTZ":
            return datetime.fromisoformat(text)
    return text
