"""``omgov access explain`` says who sees what, and why; a denial ends with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from omgov_assets.cli.access import access_app


@pytest.fixture
def explain(project_root: Path, tmp_path: Path) -> Any:
    def run(*arguments: str, key: str = "ab" * 32) -> Result:
        options = ["--project", str(project_root), "--home", str(tmp_path)]
        return CliRunner().invoke(access_app, ["explain", *arguments, *options], env={"OMGOV_MASK_KEY": key})

    return run


def test_rows_columns_masks_and_policies_are_shown(explain: Any) -> None:
    done = explain("trading_department", "securities_trading/metric_samples", "--format", "json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert [row["part"] for row in rows[:3]] == ["dataset", "rows", "column"]
    assert rows[0]["policies"] == "consumers-read-their-systems"
    assert rows[1]["name"].startswith("system is one of institutional_trading, securities_trading or ")
    value = next(row for row in rows if row["name"] == "value")
    assert (value["shown"], value["mask"]) == ("masked", "by metric")


def test_a_mask_without_its_key_leaves_the_column_out(explain: Any) -> None:
    for key, shown in (("ab" * 32, "masked"), ("", "dropped")):
        rows = json.loads(explain("steward", "cmdb/owners", "--format", "json", key=key).stdout)
        assert next(row["shown"] for row in rows if row["name"] == "phone") == shown


def test_what_somebody_may_do_to_a_dataset_is_shown_as_well(explain: Any) -> None:
    def deeds(*arguments: str) -> dict[str, tuple[str, str]]:
        rows = json.loads(explain(*arguments, "--format", "json").stdout)
        return {row["part"]: (row["shown"], row["policies"]) for row in rows if row["part"] in ("act", "write")}

    assert deeds("steward", "exceptions/cases") == {
        "act": ("allowed", "stewards-act-on-cases"),
        "write": ("denied", ""),
    }
    agent = deeds("trading_agent", "securities_trading/metric_instances")
    assert agent == {"act": ("denied", ""), "write": ("allowed", "sources-write-their-systems")}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["trading_department", "cmdb/owners"], "no policy permits it"),
        (["steward", "cmdb/owners_quarantine"], "forbidden by quarantine-is-for-those-who-repair-it"),
        (["steward", "cmdb/robots"], "there is no dataset cmdb/robots"),
        (["steward", "cmdb/owners", "--purpose", "audit"], "unknown purpose: audit (not granted)"),
    ],
)
def test_a_denial_says_why(explain: Any, arguments: list[str], reason: str) -> None:
    done = explain(*arguments)
    assert done.exit_code == 2
    assert reason in done.stdout


def test_an_unknown_principal_is_an_error_of_the_command(explain: Any) -> None:
    done = explain("ghost", "cmdb/owners")
    assert done.exit_code == 1
    assert "ghost: no such principal; the access rules name auditor" in done.stderr
