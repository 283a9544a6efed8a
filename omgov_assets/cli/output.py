"""Printing: tables for a terminal, JSON and CSV for machines, one line for an error."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from omgov_assets.interface_service.formats.cells import defused, flat

PLATFORM_FAILURE = 1
SOMETHING_REFUSED = 2


class Format(StrEnum):
    """How a command prints its result."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def emit(rows: Sequence[Mapping[str, Any]], output: Format, title: str = "", empty: str = "nothing to show") -> None:
    """Print rows as a table, as a JSON list of flat objects, or as CSV with a header."""
    match output:
        case Format.JSON:
            typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        case Format.CSV:
            if rows:
                writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows({name: defused(value) for name, value in row.items()} for row in rows)
        case Format.TABLE:
            if rows:
                _print_table(rows, title)
            else:
                typer.echo(empty)


def notice(text: str) -> None:
    """A line for people, on standard error so that machines are not disturbed."""
    typer.echo(text, err=True)


def fail(text: str, code: int = PLATFORM_FAILURE) -> NoReturn:
    """End the command with a sentence that says what, where, and what to do."""
    typer.echo(f"omgov: {text}", err=True)
    raise typer.Exit(code)


def _print_table(rows: Sequence[Mapping[str, Any]], title: str) -> None:
    # A column that says nothing of any row only takes room.
    told = [name for name in rows[0] if any(row[name] not in (None, "") for row in rows)]
    table = Table(header_style="bold")
    for name in told:
        justify: Literal["left", "right"] = "right" if _is_number(rows[0][name]) else "left"
        table.add_column(name.replace("_", " "), justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*(_shown(row[name]) for name in told))
    # A pipe has no width of its own: never cut what a person or a script wants to read.
    # Values are text: [/,free] is a key of a disk, not a style.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False)
    if title:
        # Not the table's own title, which would wrap to the width of a narrow table.
        console.print(title, style="italic", markup=False)
    console.print(table)


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value.endswith("%")
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(flat(value))
