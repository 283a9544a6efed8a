"""`omgov check-models --run` and `--diff`: what a changed model makes of the last batch, and how versions differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance
from typer.testing import CliRunner, Result

from omgov_assets.cli.commands import app
from omgov_assets.model_management.control import publish_processing_models

DATASET = "metric_instances"
MODEL = f"{SYSTEM}/{DATASET}"


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    """A firm with a published model, a day of its data, and a change that is not published yet."""
    built = build_small_firm(tmp_path)
    publish_processing_models(built.lake, built.governance, DAY)
    built.deliver(SYSTEM, DATASET, [instance(ci=f"H{n}") for n in range(30)])
    built.collect(SYSTEM, DAY, DATASET)
    path = built.system_folder / f"{DATASET}.sql"
    path.write_text(path.read_text().replace("interval_s, c", "interval_s, nullif(collector, 'K1') AS c", 1))
    return built


def run(firm: SmallFirm, *arguments: str) -> Result:
    folders = ("--home", str(firm.settings.home), "--project", str(firm.settings.project))
    return CliRunner().invoke(app, ["check-models", "--only", MODEL, *arguments, *folders], catch_exceptions=False)


def test_without_data_nothing_is_wrong_with_the_change(firm: SmallFirm) -> None:
    result = run(firm)
    assert (result.exit_code, result.stdout.strip()) == (0, "no model is at fault")


def test_a_dry_run_finds_what_the_change_does_to_the_data(firm: SmallFirm) -> None:
    result = run(firm, "--run", "--format", "json")
    assert result.exit_code == 2
    [finding] = json.loads(result.stdout)
    assert (finding["code"], finding["model"]) == ("null_explosion", MODEL)
    assert "30 rows of 30 records of" in result.stderr
    sarif = json.loads(run(firm, "--run", "--format", "sarif").stdout)
    assert [one["ruleId"] for one in sarif["runs"][0]["results"]] == ["null_explosion"]


def test_the_difference_to_the_published_version_is_told_by_column(firm: SmallFirm) -> None:
    result = run(firm, "--diff", "--format", "json")
    assert result.exit_code == 0
    [row] = json.loads(result.stdout)
    assert (row["column"], row["change"], row["records"], row["such_as"]) == ("collector", "values", 30, [1, 2, 3])
    assert row["rows"] == "0 of 30 records the same"
    assert row["before"] == f"1.0.0 of {DAY}"


def test_differences_are_no_findings(firm: SmallFirm) -> None:
    result = run(firm, "--diff", "--format", "sarif")
    assert result.exit_code == 1
    assert "choose table, json or csv" in result.stderr
