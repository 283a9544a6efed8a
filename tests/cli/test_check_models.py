"""`omgov check-models`: what it prints in each format, what it exits with, what it takes from the lake."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner, Result

from omgov_assets.cli.models import check_models, github_command, sarif
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.model_findings import ModelFinding

DAY = date(2026, 11, 20)
SYSTEM = "governance/systems/institutional_trading"
MODEL = "institutional_trading/metric_samples"

app = typer.Typer()
app.command("check-models")(check_models)

FINDING = ModelFinding(
    path="governance/systems/a, b/100%:x.sql", line=3, column=5, code="unknown_column", severity="critical",
    problem="100% of\r\nlines: a, b", remedy="correct it", model="a/x", owner="a@example.com",
)  # fmt: skip

# What SARIF 2.1.0 asks of the parts that are written here.
_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
_REGION = {
    "type": "object",
    "required": ["startLine", "startColumn"],
    "properties": {name: {"type": "integer", "minimum": 1} for name in ("startLine", "startColumn")},
    "additionalProperties": False,
}
_LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "properties": {"uri": {"type": "string", "format": "uri-reference", "pattern": r"^[^\s:]+$"}},
                },
                "region": _REGION,
            },
        },
        "logicalLocations": {"type": "array", "uniqueItems": True},
    },
}
SARIF_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id", "shortDescription", "help"],
                                            "properties": {
                                                "shortDescription": _TEXT,
                                                "help": _TEXT,
                                                "defaultConfiguration": {"properties": {"level": _LEVEL}},
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["ruleId", "ruleIndex", "level", "message", "locations"],
                            "properties": {
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "level": _LEVEL,
                                "message": _TEXT,
                                "locations": {"type": "array", "minItems": 1, "items": _LOCATION},
                            },
                        },
                    },
                },
            },
        },
    },
}


@pytest.fixture
def project(tmp_path: Path, project_root: Path) -> Path:
    """The repository's governance, of which one system is left beside the CMDB."""
    folder = tmp_path / "project"
    # Clauses name business systems that are left out here.
    shutil.copytree(project_root / "governance", folder / "governance", ignore=shutil.ignore_patterns("compliance"))
    for system in (folder / "governance" / "systems").iterdir():
        if system.name not in ("institutional_trading", "cmdb"):
            shutil.rmtree(system)
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Callable[..., Result]:
    def invoke(*arguments: object, at: Path | None = None) -> Result:
        given = [str(at or project), *map(str, arguments), "--home", str(tmp_path / "home")]
        return CliRunner().invoke(app, given, catch_exceptions=False)

    return invoke


def _spoil(project: Path, old: str = "ci AS ci_id", new: str = "nothing AS ci_id") -> None:
    path = project / SYSTEM / "metric_samples.sql"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def _register_owner(project: Path, home: Path, email: str, *, active: bool) -> None:
    lake = Lake(home / "lake", project / "governance" / "standard" / "data_contracts")
    for table, given in (
        ("cmdb/owners", {"owner_id": "O1", "name": "n", "email": email, "active": active}),
        ("cmdb/support_groups", {"support_group_id": "G1", "name": "n", "email": "group@example.com"}),
    ):
        schema = lake.schema(table).arrow
        row = {field.name: None for field in schema} | {"day": DAY, "system": "cmdb", "_batch_id": "b", "_record_no": 1}
        lake.replace(table, DAY, pa.Table.from_pylist([row | given], schema))


def test_sound_models_end_with_zero(run: Callable[..., Result]) -> None:
    result = run()
    assert (result.exit_code, result.stdout) == (0, "no model is at fault\n")


def test_a_finding_ends_with_two_and_says_file_line_and_column(run: Callable[..., Result], project: Path) -> None:
    _spoil(project)
    result = run()
    assert result.exit_code == 2
    # The table folds what is too long for a cell.
    where = "".join(line.split("│")[1].strip() for line in result.stdout.splitlines() if line.startswith("│"))
    assert where == f"{SYSTEM}/metric_samples.sql:10:5"
    assert "unknown_column" in result.stdout


def test_json_and_csv_are_flat(run: Callable[..., Result], project: Path) -> None:
    _spoil(project)
    (row,) = json.loads(run("--format", "json").stdout)
    assert row["code"] == "unknown_column"
    assert (row["line"], row["column"], row["model"]) == (10, 5, MODEL)
    (other,) = csv.DictReader(io.StringIO(run("--format", "csv").stdout))
    assert other == {name: str(value) for name, value in row.items()}
    assert json.loads(run("--format", "json", "--system", "cmdb").stdout) == []


def test_sarif_is_valid_with_and_without_findings(run: Callable[..., Result], project: Path) -> None:
    jsonschema.validate(json.loads(run("--format", "sarif").stdout), SARIF_SCHEMA)
    _spoil(project)
    log = json.loads(run("--format", "sarif").stdout)
    jsonschema.validate(log, SARIF_SCHEMA)
    (result,) = log["runs"][0]["results"]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "unknown_column"
    assert result["level"] == "error"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 10, "startColumn": 5}


def test_sarif_escapes_paths() -> None:
    log = sarif([FINDING])
    jsonschema.validate(log, SARIF_SCHEMA)
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "governance/systems/a%2C%20b/100%25%3Ax.sql"


def test_github_commands_escape_what_would_end_them() -> None:
    assert github_command(FINDING) == (
        "::error file=governance/systems/a%2C b/100%25%3Ax.sql,line=3,col=5,title=unknown_column"
        "::100%25 of%0D%0Alines: a, b; correct it"
    )


def test_models_are_chosen_by_path_system_and_name(run: Callable[..., Result], project: Path) -> None:
    _spoil(project)
    assert run(at=project / SYSTEM).exit_code == 2
    assert run(at=project / SYSTEM / "metric_samples.sql").exit_code == 2
    assert run(at=project / SYSTEM / "metric_instances.sql").exit_code == 0
    assert run(at=project / "governance/systems/cmdb").exit_code == 0
    assert run("--system", "cmdb").exit_code == 0
    assert run("--only", MODEL).exit_code == 2
    assert run("--only", "cmdb/owners").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--system", "nowhere"), "there are cmdb, institutional_trading"),
        (("--only", "cmdb/owner"), "did you mean cmdb/owners"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(
    run: Callable[..., Result], arguments: tuple[str, ...], words: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_path_outside_of_projects_or_without_models_is_a_failure(
    run: Callable[..., Result], project: Path, tmp_path: Path
) -> None:
    assert run(at=tmp_path / "absent").exit_code == 1
    assert run(at=tmp_path).exit_code == 1
    assert run(at=project / "governance" / "standard").exit_code == 1


def test_a_header_that_cannot_be_read_is_a_finding_not_a_failure(run: Callable[..., Result], project: Path) -> None:
    _spoil(project, "kind: conform", "kind: conforming")
    (row,) = json.loads(run("--format", "json").stdout)
    assert (row["code"], row["line"]) == ("header_invalid", 2)


@pytest.mark.parametrize(
    ("email", "active", "code"),
    [
        ("data-engineering@example.com", True, None),
        ("data-engineering@example.com", False, "owner_inactive"),
        ("someone@example.com", True, "owner_unknown"),
    ],
)
def test_owners_are_those_of_the_cmdbs_last_day(
    run: Callable[..., Result], project: Path, tmp_path: Path, email: str, active: bool, code: str | None
) -> None:
    _register_owner(project, tmp_path / "home", email, active=active)
    result = run("--format", "json", "--only", MODEL)
    assert {row["code"] for row in json.loads(result.stdout)} == ({code} if code else set())
    assert result.exit_code == (2 if code else 0)
