"""`omgov check` and `omgov policies`: what they print, write and exit with."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner, Result

from omgov_assets.cli.policies import check, policies_app
from omgov_assets.data_lake.lake import Lake

DAY = date(2026, 11, 20)

app = typer.Typer()
app.command("check")(check)
app.add_typer(policies_app, name="policies")


def query(text: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(text).fetchall()


class Desk:
    """A folder with a home, data and suites; the project is the repository's."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder = folder
        self.project = project
        self.home = folder / "home"
        self.data = folder / "data.parquet"
        query(f"COPY (SELECT i AS id, i % 4 AS n FROM range(40) AS t (i)) TO '{self.data}' (FORMAT parquet)")

    def run(self, *arguments: object) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments), "--project", str(self.project)], catch_exceptions=False)

    def check(self, *expectations: tuple[str, str, dict[str, Any]], more: tuple[object, ...] = ()) -> Result:
        suite = self.folder / "suite.json"
        entries = [{"type": kind, "severity": severity, "kwargs": kwargs} for kind, severity, kwargs in expectations]
        suite.write_text(json.dumps({"name": "any", "expectations": entries}), "utf-8")
        return self.run("check", suite, self.data, "--home", self.home, *more)

    def write_results(self, *rows: dict[str, Any]) -> None:
        lake = Lake(self.home / "lake", self.project / "governance" / "standard" / "data_contracts")
        schema = lake.schema("quality/check_results").arrow
        fill = {pa.string(): "x", pa.int64(): 1, pa.date32(): DAY}
        sound = {field.name: fill[field.type] for field in schema}
        lake.replace("quality/check_results", DAY, pa.Table.from_pylist([{**sound, **row} for row in rows], schema))


@pytest.fixture
def desk(tmp_path: Path, project_root: Path) -> Desk:
    return Desk(tmp_path, project_root)


NOT_NULL = {"column": "n"}
BETWEEN = {"column": "n", "max_value": 2}
FAILS = "expect_column_values_to_be_between"
PASSES = "expect_column_values_to_not_be_null"


@pytest.mark.parametrize(
    ("expectations", "code"),
    [
        ([(PASSES, "critical", NOT_NULL)], 0),
        ([], 0),
        ([(PASSES, "critical", NOT_NULL), (FAILS, "info", BETWEEN)], 0),
        ([(FAILS, "warning", BETWEEN)], 2),
        ([(FAILS, "critical", BETWEEN)], 2),
        ([(FAILS, "critical", BETWEEN), (PASSES, "info", {"column": "absent"})], 1),
    ],
)
def test_the_exit_code_tells_the_severity_of_what_failed(
    desk: Desk, expectations: list[tuple[str, str, dict[str, Any]]], code: int
) -> None:
    assert desk.check(*expectations).exit_code == code


def test_a_check_prints_flat_rows_for_machines(desk: Desk) -> None:
    as_json = desk.check((FAILS, "critical", BETWEEN), more=("--format", "json"))
    [row] = json.loads(as_json.stdout)
    assert (row["policy"], row["verdict"], row["evaluated"], row["failed"], row["engine"]) == (
        "column_values_to_be_between.n", "failed", 40, 10, "duckdb",
    )  # fmt: skip
    as_csv = desk.check((FAILS, "critical", BETWEEN), more=("--format", "csv"))
    [read] = csv.DictReader(io.StringIO(as_csv.stdout))
    assert read == {name: str(value) for name, value in row.items()}


def test_a_check_writes_the_failing_rows_with_their_key(desk: Desk) -> None:
    target = desk.folder / "out" / "violations.parquet"
    refused = desk.check((FAILS, "critical", BETWEEN), more=("--key", "id", "--violations", target))
    assert refused.exit_code == 1
    assert "does not exist; create it first" in refused.stderr
    target.parent.mkdir()
    assert desk.check((FAILS, "critical", BETWEEN), more=("--key", "id", "--violations", target)).exit_code == 2
    assert query(f"SELECT id FROM '{target}' ORDER BY id") == [(n,) for n in range(3, 40, 4)]
    assert [file.name for file in target.parent.iterdir()] == ["violations.parquet"]


def test_a_check_says_what_is_wrong_with_key_and_data(desk: Desk) -> None:
    wrong_key = desk.check((FAILS, "critical", BETWEEN), more=("--key", "ident"))
    assert (wrong_key.exit_code, wrong_key.stdout) == (1, "")
    assert "has no column ident; it has id, n" in wrong_key.stderr
    desk.data.write_bytes(b"no parquet")
    assert "not readable as parquet" in desk.check((FAILS, "critical", BETWEEN)).stderr


def test_a_check_leaves_the_lake_alone(desk: Desk) -> None:
    desk.check((FAILS, "critical", BETWEEN))
    assert [path.name for path in desk.home.rglob("*") if path.is_file()] == []


def test_the_help_says_which_severity_gives_which_exit_code(desk: Desk) -> None:
    text = " ".join(desk.run("check", "--help").stdout.replace("│", " ").split())
    for sentence in (
        "0: all passed, or only policies of severity info failed",
        "critical or warning failed",
        "1: a policy broke",
    ):
        assert sentence in text  # fmt: skip


def test_the_list_names_the_systems_that_a_policy_holds_for(desk: Desk) -> None:
    rows = json.loads(desk.run("policies", "list", "--format", "json").stdout)
    by_id = {row["policy"]: row for row in rows}
    owner = by_id["configuration_items.owner_given"]
    assert (owner["systems"], owner["suite"]) == (["cmdb"], "expectations/configuration_items.json")
    suites = [json.loads(path.read_text("utf-8")) for path in (desk.project / "expectations").glob("*.json")]
    assert len(rows) == sum(len(suite["expectations"]) for suite in suites)
    instances = [row for row in rows if row["dataset"] == "metric_instances"]
    assert {len(row["systems"]) for row in instances} == {5}
    table = desk.run("policies", "list", "--dataset", "configuration_items")
    assert "configuration_items.owner_given" in table.stdout
    assert "metric_instances." not in table.stdout


def test_the_list_can_be_of_one_system_with_its_own_suite(desk: Desk, tmp_path: Path) -> None:
    project = tmp_path / "project"
    for name in ("governance", "expectations"):
        shutil.copytree(desk.project / name, project / name)
    suite = json.loads((project / "expectations" / "metric_samples.json").read_text("utf-8"))
    suite["expectations"] = suite["expectations"][:1]
    suite["expectations"][0]["meta"]["policy_id"] = "own.policy"
    folder = project / "expectations" / "wealth_management"
    folder.mkdir()
    (folder / "metric_samples.json").write_text(json.dumps(suite), "utf-8")
    desk.project = project

    def listed(system: str) -> dict[str, dict[str, Any]]:
        rows = json.loads(desk.run("policies", "list", "--system", system, "--format", "json").stdout)
        return {row["policy"]: row for row in rows}

    own = listed("wealth_management")["own.policy"]
    assert (own["systems"], own["suite"]) == (
        ["wealth_management"],
        "expectations/wealth_management/metric_samples.json",
    )
    assert "own.policy" not in listed("asset_management")
    everywhere = json.loads(desk.run("policies", "list", "--format", "json").stdout)
    assert {len(row["systems"]) for row in everywhere if row["dataset"] == "metric_samples"} == {1, 5}


@pytest.mark.parametrize(("option", "name"), [("--system", "moon"), ("--dataset", "cheese")])
def test_the_list_of_what_there_is_not_is_refused(desk: Desk, option: str, name: str) -> None:
    result = desk.run("policies", "list", option, name)
    assert result.exit_code == 1
    assert f"{option} {name}" in result.stderr


def test_a_policy_is_shown_in_full_with_its_last_verdicts(desk: Desk) -> None:
    policy = "configuration_items.owner_given"
    shown = desk.run("policies", "show", policy, "--home", desk.home).stdout
    assert "The support group names an owner in the CMDB." in shown
    assert '"column": "owner_id"' in shown
    [before] = json.loads(desk.run("policies", "show", policy, "--home", desk.home, "--format", "json").stdout)
    assert before["last_verdict"] is None
    desk.write_results({"system": "cmdb", "dataset": "configuration_items", "policy_id": policy, "verdict": "failed"},
                       {"policy_id": "another"})  # fmt: skip
    [after] = json.loads(desk.run("policies", "show", policy, "--home", desk.home, "--format", "json").stdout)
    assert (after["last_day"], after["last_system"], after["last_verdict"]) == (str(DAY), "cmdb", "failed")
    assert set(before) == set(after)
    assert "failed" in desk.run("policies", "show", policy, "--home", desk.home).stdout


def test_a_policy_that_there_is_not_is_refused_with_those_that_are_near(desk: Desk) -> None:
    result = desk.run("policies", "show", "configuration_items.owner_give", "--home", desk.home)
    assert result.exit_code == 1
    assert "did you mean configuration_items.owner_given" in result.stderr


def test_a_profile_is_a_suite_that_the_data_passes(desk: Desk) -> None:
    out = desk.folder / "proposal.json"
    result = desk.run("policies", "profile", desk.data, "--out", out, "--home", desk.home)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "policies proposed from 40 rows" in result.stderr
    printed = desk.run("policies", "profile", desk.data, "--home", desk.home).stdout
    assert json.loads(printed) == json.loads(out.read_text("utf-8"))
    checked = desk.run("check", out, desk.data, "--home", desk.home, "--format", "json")
    assert checked.exit_code == 0
    assert {row["verdict"] for row in json.loads(checked.stdout)} == {"passed"}


def test_a_dataset_of_the_lake_is_profiled_without_what_its_contract_says(desk: Desk) -> None:
    desk.write_results(*({"policy_id": f"p{n}", "failed": n % 3} for n in range(30)))
    result = desk.run("policies", "profile", "quality/check_results", "--home", desk.home)
    suite = json.loads(result.stdout)
    assert suite["name"] == "check_results"
    columns = {entry["kwargs"].get("column") for entry in suite["expectations"]}
    assert "failed" in columns
    assert "day" not in columns
    assert not any(entry["type"].startswith("expect_table_column") for entry in suite["expectations"])
    by_folder = desk.run("policies", "profile", desk.home / "lake" / "quality" / "check_results", "--home", desk.home)
    assert by_folder.exit_code == 0


def test_a_profile_of_nothing_is_refused(desk: Desk) -> None:
    result = desk.run("policies", "profile", "quality/nothing", "--home", desk.home)
    assert result.exit_code == 1
    assert "the lake" in result.stderr or "holds no such dataset" in result.stderr
    assert desk.run("policies", "profile", desk.data, "--day", "2026-11-20", "--home", desk.home).exit_code == 1
