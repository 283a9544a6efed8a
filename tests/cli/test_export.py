"""``omgov export`` writes what a principal sees, in every format, and a denial leaves no file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from openpyxl import load_workbook
from typer.testing import CliRunner

from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.cli import app
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

DAY = date(2026, 11, 20)
OWNERS = [
    ("OWN-1", "=cmd|' /C calc'!A0", "ann@example.com", "13800000001", True),
    ("OWN-2", "王芳", "wang@example.com", "13800000002", True),
    ("OWN-3", "Bob", None, None, False),
]
Run = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path, project_root: Path) -> Settings:
    settings = Settings(tmp_path / "home", project_root)
    lake = Lake(settings.lake, settings.dataset_contracts)
    rows = [
        {
            "day": DAY,
            "system": "cmdb",
            "owner_id": owner_id,
            "name": name,
            "email": email,
            "phone": phone,
            "active": active,
            "support_group_id": "SG-1",
            "_batch_id": "b",
            "_record_no": number,
        }
        for number, (owner_id, name, email, phone, active) in enumerate(OWNERS, 1)
    ]
    lake.replace("cmdb/owners", DAY, pa.Table.from_pylist(rows, lake.schema("cmdb/owners").arrow))
    return settings


@pytest.fixture
def run(settings: Settings) -> Run:
    def run(*arguments: str) -> Result:
        options = ["--home", str(settings.home), "--project", str(settings.project)]
        return CliRunner().invoke(app, ["export", *arguments, *options], env={"OMGOV_MASK_KEY": "ab" * 32})

    return run


def read(path: Path) -> list[dict[str, Any]]:
    match path.suffix:
        case ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
        case ".json":
            loaded: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
            return loaded
        case ".ndjson":
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        case ".xlsx":
            header, *rows = load_workbook(path).active.iter_rows(values_only=True)
            return [dict(zip(header, row, strict=True)) for row in rows]
        case ".arrows":
            streamed: list[dict[str, Any]] = pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist()
            return streamed
    table: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return table


@pytest.mark.parametrize("suffix", [".csv", ".json", ".ndjson", ".xlsx", ".parquet", ".arrows"])
def test_what_a_principal_sees_is_written(run: Run, settings: Settings, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"owners{suffix}"
    columns = [option for name in ("owner_id", "name", "phone", "email") for option in ("--column", name)]
    done = run("cmdb/owners", "--as", "steward", "--out", str(out), "--day", "2026-11-20", *columns)
    assert done.exit_code == 0, done.output
    rows = read(out)
    assert [row["owner_id"] for row in rows] == ["OWN-1", "OWN-2", "OWN-3"]
    is_for_a_spreadsheet = suffix in (".csv", ".xlsx")
    assert rows[0]["name"] == ("'" if is_for_a_spreadsheet else "") + OWNERS[0][1]
    assert [row["email"] for row in rows] == ["a***", "w***", "" if suffix == ".csv" else None]
    assert len(rows[0]["phone"]) == 32
    text = out.read_bytes()
    assert b"13800000001" not in text
    with AuditLog(settings.audit) as log:
        (entry,) = (entry.fields for entry in log.entries())
    assert (entry["principal"], entry["row_count"], entry["columns"]) == (
        "steward",
        3,
        ["owner_id", "name", "phone", "email"],
    )
    again = tmp_path / f"again{suffix}"
    run("cmdb/owners", "--as", "steward", "--out", str(again), "--day", "2026-11-20", *columns)
    assert again.read_bytes() == text, "same rows, same bytes"


@pytest.mark.parametrize(
    ("options", "owners"),
    [
        (["--where", "active=true"], ["OWN-1", "OWN-2"]),
        (["--where", "owner_id!=OWN-1", "--where", "active = true"], ["OWN-2"]),
        (["--where", "_record_no>=2"], ["OWN-2", "OWN-3"]),
        (["--where", "day<2026-11-20"], []),
        (["--where", "name==cmd|' /C calc'!A0"], ["OWN-1"]),
        (["--where", "email=ann@example.com"], []),
        (["--limit", "1"], ["OWN-1"]),
        (["--day", "2026-11-21"], []),
    ],
)
def test_rows_are_chosen_by_what_is_shown(run: Run, tmp_path: Path, options: list[str], owners: list[str]) -> None:
    out = tmp_path / "owners.json"
    done = run("cmdb/owners", "--as", "steward", "--out", str(out), "--column", "owner_id", *options)
    assert done.exit_code == 0, done.output
    assert [row["owner_id"] for row in read(out)] == owners


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["cmdb/owners", "--as", "trading_department"], 2, "may not read cmdb/owners"),
        (["cmdb/owners", "--as", "ghost"], 2, "may not read cmdb/owners"),
        (["cmdb/robots", "--as", "steward"], 2, "may not read cmdb/robots"),
        (["cmdb/owners", "--as", "steward", "--purpose", "fun"], 2, "may not read cmdb/owners"),
        (["cmdb/owners", "--as", "steward", "--where", "email"], 1, "write COLUMN=VALUE"),
        (["cmdb/owners", "--as", "steward", "--where", "_record_no=x"], 1, "which 'x' is not"),
        (["cmdb/owners", "--as", "steward", "--where", "never=x"], 1, "has no column 'never'"),
        (["cmdb/owners", "--as", "steward", "--column", "never"], 1, "has no column 'never'"),
    ],
)
def test_what_cannot_be_says_why_and_leaves_no_file(
    run: Run, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = run(*arguments, "--out", str(tmp_path / "out.csv"))
    assert (done.exit_code, said in done.stderr) == (code, True), done.output
    assert list(tmp_path.glob("*out*")) == []
    assert "ends in .csv" in run(*arguments, "--out", str(tmp_path / "out.pdf")).stderr
    assert run(*arguments, "--out", str(tmp_path / "nowhere" / "out.csv")).exit_code in (1, 2)


def test_a_principal_is_required(run: Run, tmp_path: Path) -> None:
    assert run("cmdb/owners", "--out", str(tmp_path / "out.csv")).exit_code == 2
