"""``omgov cases export``: the members of a case as a file for the source side.

Texts that a spreadsheet would run as a formula get an apostrophe in front, in CSV and in XLSX.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from omgov_assets.cli.options import Home, Project
from omgov_assets.cli.output import defused, fail, notice
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.exception_management.acts import UnknownCaseError
from omgov_assets.exception_management.export import export_members
from omgov_assets.exception_management.reading import show_case

# What a sheet of an XLSX file holds at most, its header among them.
_MOST_ROWS = 1_048_576


class FileFormat(StrEnum):
    """In which format a case is written."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON = "json"


def export(
    case: Annotated[str, typer.Argument(help="Case, or the beginning of its name.")],
    out: Annotated[Path, typer.Option("--out", help="File to write; .csv, .xlsx or .json says the format.")],
    group: Annotated[str | None, typer.Option(help="Only what a support group answers for.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only what an owner owns.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Members that are resolved or withdrawn as well.")] = False,
    home: Home = None,
    project: Project = None,
) -> None:
    """Write a case's members with observed, expected, what to do, and the place in the source."""
    try:
        file_format = FileFormat(out.suffix.removeprefix(".").lower())
    except ValueError:
        fail(f"{out}: name a file that ends in .csv, .xlsx or .json")
    settings = Settings.from_environment(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    try:
        found = show_case(lake, case)
    except UnknownCaseError as error:
        fail(str(error))
    rows = export_members(
        lake, settings.project, found["case_id"], found["day"], only_open=not every, group=group, owner_id=owner
    )
    if not rows:
        fail(f"case {found['case_id']} has no open members of that; --all writes those that are not open any more")
    match file_format:
        case FileFormat.CSV:
            _write_csv(out, rows)
        case FileFormat.XLSX:
            _write_xlsx(out, rows)
        case FileFormat.JSON:
            out.write_text(json.dumps(rows, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    notice(f"{out}: {len(rows):,} members of case {found['case_id']} as of {found['day']}")


def _write_csv(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    # With a byte order mark, which spreadsheets need to read Chinese as such.
    with out.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\r\n")
        writer.writeheader()
        writer.writerows({name: defused(value) for name, value in row.items()} for row in rows)


def _write_xlsx(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    from datetime import UTC, datetime

    from xlsxwriter import Workbook

    if len(rows) >= _MOST_ROWS:
        fail(f"{len(rows):,} members are more than a sheet holds; write .csv")
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with Workbook(str(out), plain) as book:
        # Same case, same bytes.
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
        sheet = book.add_worksheet("members")
        sheet.write_row(0, 0, list(rows[0]), book.add_format({"bold": True}))
        for number, row in enumerate(rows, 1):
            for column, value in enumerate(row.values()):
                if isinstance(value, bool) or not isinstance(value, str):
                    sheet.write(number, column, value)
                else:
                    sheet.write_string(number, column, str(defused(value)))
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, len(rows), len(rows[0]) - 1)
