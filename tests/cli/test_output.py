"""What is printed is what was found: no value is taken for a style or a formula."""

from __future__ import annotations

import csv
import io

import pytest

from omgov_assets.cli.output import Format, emit

VALUES = [
    "vfs.fs.size[/,free]",
    "algo01[trading-login-failures]",
    "[red]x[/red]",
    "\\[b]",
    "行情[行]",
    "=1+1",
    "-5",
    "@x",
]


def test_a_table_shows_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    emit([{"key": value} for value in VALUES], Format.TABLE, "[a title]")
    shown = capsys.readouterr().out
    for value in [*VALUES, "[a title]"]:
        assert value in shown


def test_csv_defuses_what_a_spreadsheet_would_run_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"key": value, "number": -5} for value in VALUES]
    emit(rows, Format.CSV)
    read = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["key"] for row in read] == [f"'{v}" if v[0] in "=-@" else v for v in VALUES]
    assert {row["number"] for row in read} == {"-5"}
