"""`omgov admission`, `omgov replay` and `omgov try`: what they print, write and exit with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance
from typer.testing import CliRunner, Result

from omgov_assets.cli.commands import app

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    """A firm with a day of two batches: one partial, one refused."""
    built = build_small_firm(tmp_path)
    built.deliver(SYSTEM, DATASET, [instance(ci="H1"), instance(ci="H2", interval_s="soon"), instance(ci=None)])
    built.deliver(SYSTEM, DATASET, "metric,ci\ncpu,H1\n", name="bad.csv")
    built.collect(SYSTEM, DAY, DATASET)
    return built


def run(firm: SmallFirm, *arguments: object) -> Result:
    settings = firm.settings
    folders = ("--home", settings.home, "--project", settings.project)
    return CliRunner().invoke(app, [str(one) for one in (*arguments, *folders)], catch_exceptions=False)


def listed(firm: SmallFirm, *arguments: object) -> list[dict[str, Any]]:
    result = run(firm, *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_the_batches_of_the_last_day_are_listed_with_their_reasons(firm: SmallFirm) -> None:
    result = run(firm, "admission", "list")
    assert result.exit_code == 0
    for words in ("a.csv", "partial", "not_convertible:interval_s (1)", "bad.csv", "refused", "is missing"):
        assert words in result.output
    rows = listed(firm, "admission", "list")
    assert [(row["decision"], row["rows_in"]) for row in rows] == [("partial", 3), ("refused", 0)]
    assert set(rows[0]) >= {"policy_hash", "contract_version", "model_version", "source", "received_at"}


@pytest.mark.parametrize(
    ("filters", "files"),
    [
        (("--decision", "refused"), ["bad.csv"]),
        (("--day", "all", "--decision", "partial"), ["a.csv"]),
        (("--system", "cmdb"), []),
        (("--dataset", DATASET), ["a.csv", "bad.csv"]),
    ],
)
def test_batches_can_be_filtered(firm: SmallFirm, filters: tuple[str, ...], files: list[str]) -> None:
    rows = listed(firm, "admission", "list", *filters)
    assert [row["file_name"].rpartition("/")[2] for row in rows] == files


def test_an_unknown_decision_names_those_there_are(firm: SmallFirm) -> None:
    result = run(firm, "admission", "list", "--decision", "lost")
    assert result.exit_code == 1
    assert "choose one of admitted, partial, refused, repeated, superseded" in result.stderr


def test_a_batch_is_shown_with_its_refused_records(firm: SmallFirm) -> None:
    batch = listed(firm, "admission", "list", "--decision", "partial")[0]["batch_id"]
    result = run(firm, "admission", "show", batch[:6])
    assert result.exit_code == 0
    for words in (batch, "Refused records, 2 of 2", "interval_s is not a whole number", "soon", "contract_version"):
        assert words in result.output
    records = listed(firm, "admission", "show", batch)
    assert [record["record"] for record in records] == [2, 3]


def test_a_batch_that_is_not_there_says_where_to_look(firm: SmallFirm) -> None:
    result = run(firm, "admission", "show", "ffff")
    assert result.exit_code == 1
    assert "`omgov admission list --day all` names them" in result.stderr


def test_a_replay_tells_what_came_in_what_did_not_and_what_to_do_next(firm: SmallFirm) -> None:
    contract = firm.system_folder / f"{DATASET}.odcs.yaml"
    contract.write_text(
        contract.read_text().replace("- name: interval_s\n        physicalType: BIGINT",
                                     "- name: interval_s\n        physicalType: VARCHAR")
    )  # fmt: skip
    model = firm.system_folder / f"{DATASET}.sql"
    model.write_text(
        model.read_text().replace("interval_s,", "coalesce(TRY_CAST(interval_s AS BIGINT), 60) AS interval_s,", 1)
    )
    result = run(firm, "replay", "--system", SYSTEM, "--dataset", DATASET, "--day", DAY)
    assert result.exit_code == 2, "a record and a batch stay refused"
    assert f"omgov run --inventory --day {DAY}" in result.stderr
    assert sorted(ci for (ci,) in firm.rows(TABLE, "ci_id")) == ["H1", "H2"]
    again = run(firm, "replay", "--system", SYSTEM, "--dataset", DATASET, "--format", "json")
    assert {
        row["file"]: (row["replayed"], row["admitted"], row["still_refused"]) for row in json.loads(again.stdout)
    } == {
        "a.csv": (1, 0, 1),
        "bad.csv": (0, 0, 0),
    }


def test_a_replay_of_nothing_says_so_and_is_clean(firm: SmallFirm) -> None:
    result = run(firm, "replay", "--system", SYSTEM, "--dataset", "metric_definitions")
    assert (result.exit_code, result.stdout.strip()) == (0, "nothing that was refused fits the selection")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--system", "nobody", "--dataset", DATASET), "nobody: no such business system; there are"),
        (("--system", SYSTEM, "--dataset", "weather"), "not delivered by this system; it delivers"),
        (("--system", SYSTEM, "--dataset", DATASET, "--day", "20.11."), "'20.11.' is not a day"),
    ],
)
def test_a_replay_of_what_is_not_there_says_what_there_is(
    firm: SmallFirm, arguments: tuple[str, ...], words: str
) -> None:
    result = run(firm, "replay", *arguments)
    assert result.exit_code == 1
    assert words in result.stderr


def test_a_file_is_tried_alone_or_beside_what_its_day_holds(firm: SmallFirm, tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    sound = (firm.folder(SYSTEM, DATASET) / "a.csv").read_text().splitlines()
    file.write_text("\n".join([sound[0], sound[1], sound[1].replace("H1", "H7")]) + "\n")
    control = ("control/standard_metrics", DAY)
    firm.lake.replace(*control, firm.lake.schema(control[0]).arrow.empty_table())
    version = firm.lake.version(TABLE)
    beside = run(firm, "try", SYSTEM, DATASET, file, "--day", DAY)
    assert beside.exit_code == 2
    assert "the row is held already: batch" in beside.output
    assert firm.lake.version(TABLE) == version
