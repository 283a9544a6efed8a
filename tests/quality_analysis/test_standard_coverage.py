"""How far the firm is from its metric standard."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from lower_rooms import DAY, NEXT_DAY, Rooms, Row
from typer.testing import CliRunner

from omgov_assets.cli.standard import standard_app
from omgov_assets.quality_analysis.standard_coverage import FIRM, standard_coverage, standard_metric_use

CPU = "system.cpu.utilization"
IDLE = "system.cpu.idle.utilization"
SCORE = "app.heartbeat.score"
STANDARD: list[Row] = [
    {"metric": metric, "unit": unit, "instrument": "gauge", "value_type": "double", "interval_s": 60,
     "ci_classes": ["host"], "required_attributes": [], "stability": stability, "renamed_to": successor}
    for metric, unit, stability, successor in (
        (CPU, "%", "stable", None),
        (IDLE, "%", "deprecated", CPU),
        (SCORE, "1", "withdrawn", None),
    )
]  # fmt: skip


def definition(source_metric: str, metric: str | None = CPU, **fields: Any) -> Row:
    """A definition as the standard wants it; ``fields`` replace what it says."""
    sound = {"source_unit": "percent", "unit": "%", "unit_status": "ok", "instrument": "gauge", "value_type": "double"}
    return {"source_metric": source_metric, "metric": metric, "interval_s": 60, **sound, **fields}


def instance(source_metric: str, metric: str | None = CPU) -> Row:
    return {"source_metric": source_metric, "metric": metric, "ci_id": "HOST-1"}


@pytest.fixture
def firm(rooms: Rooms) -> Rooms:
    rooms.write("control/standard_metrics", DAY, STANDARD)
    return rooms


def coverage(rooms: Rooms) -> dict[str, Row]:
    return {row["system"]: row for row in standard_coverage(rooms.lake, DAY)}


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": None},
        {"unit_status": "unknown"},
        {"unit_status": "missing", "source_unit": None, "unit": None},
        {"instrument": "counter"},
        {"instrument": None},
        {"value_type": "int"},
        {"value_type": None},
        {"interval_s": 30},
        {"interval_s": None},
        {"metric": IDLE},
        {"metric": SCORE},
        {"metric": "not.in.the.standard"},
    ],
    ids=str,
)
def test_a_definition_conforms_only_where_all_is_as_the_standard_says(firm: Rooms, wrong: Row) -> None:
    firm.write("a/metric_definitions", DAY, [definition("good"), definition("bad") | wrong])
    row = coverage(firm)["a"]
    assert (row["definitions"], row["conforming"], row["conforming_percent"]) == (2, 1, 50.0)


def test_each_system_and_the_firm_have_their_counts_and_shares(firm: Rooms) -> None:
    firm.write(
        "a/metric_definitions",
        DAY,
        [definition("cpu"), definition("idle", IDLE), definition("score", SCORE), definition("odd", None)],
    )
    firm.write("a/metric_instances", DAY, [instance("cpu"), instance("cpu"), instance("odd", None)])
    firm.write("b/metric_definitions", DAY, [definition("load"), definition("idle", IDLE)])
    firm.write("b/metric_instances", DAY, [instance("load")])
    found = coverage(firm)
    assert list(found) == ["a", "b", FIRM]
    assert found["a"] == {
        "system": "a", "definitions": 4, "mapped": 3, "mapped_percent": 75.0, "conforming": 1,
        "conforming_percent": 25.0, "deprecated_in_use": 1, "withdrawn_in_use": 1, "unmapped": 1, "instances": 3,
        "instances_mapped_percent": 66.67, "standard_metrics": 3,
    }  # fmt: skip
    assert found[FIRM] == {
        "system": FIRM, "definitions": 6, "mapped": 5, "mapped_percent": 83.33, "conforming": 2,
        "conforming_percent": 33.33, "deprecated_in_use": 2, "withdrawn_in_use": 1, "unmapped": 1, "instances": 4,
        "instances_mapped_percent": 75.0, "standard_metrics": 3,
    }  # fmt: skip


def test_what_was_not_delivered_has_no_count_rather_than_none_of_anything(firm: Rooms) -> None:
    firm.write("a/metric_definitions", DAY, [definition("cpu")])
    firm.write("b/metric_definitions", NEXT_DAY, [definition("cpu")])
    firm.write("b/metric_instances", DAY, [instance("cpu")])
    found = coverage(firm)
    assert (found["a"]["definitions"], found["a"]["instances"], found["a"]["instances_mapped_percent"]) == (
        1,
        None,
        None,
    )
    assert (found["b"]["definitions"], found["b"]["unmapped"], found["b"]["conforming_percent"]) == (None, None, None)
    assert (found["b"]["instances"], found["b"]["standard_metrics"]) == (1, 1)
    assert (found[FIRM]["definitions"], found[FIRM]["instances"]) == (1, 1)


def test_systems_without_metrics_are_not_measured(firm: Rooms) -> None:
    firm.write_cmdb(DAY)
    assert coverage(firm) == {}


def test_the_counts_are_those_of_a_plain_count_of_the_rows(firm: Rooms) -> None:
    chance = random.Random(3)  # noqa: S311 - any numbers will do
    metrics = (CPU, IDLE, SCORE, None)
    definitions = [
        definition(
            f"m{number}",
            chance.choice(metrics),
            unit_status=chance.choice(("ok", "ok", "unknown")),
            instrument=chance.choice(("gauge", "gauge", "counter", None)),
            interval_s=chance.choice((60, 60, 10)),
        )
        for number in range(400)
    ]
    instances = [
        instance(row["source_metric"], row["metric"]) for row in definitions for _ in range(chance.randrange(4))
    ]
    firm.write("a/metric_definitions", DAY, definitions)
    firm.write("a/metric_instances", DAY, instances)
    row = coverage(firm)["a"]
    mapped = [entry for entry in definitions if entry["metric"]]
    conforming = [
        entry
        for entry in mapped
        if (entry["metric"], entry["unit_status"], entry["instrument"], entry["interval_s"]) == (CPU, "ok", "gauge", 60)
    ]
    assert row["mapped"] == len(mapped)
    assert row["unmapped"] == len(definitions) - len(mapped)
    assert row["conforming"] == len(conforming)
    assert row["deprecated_in_use"] == sum(entry["metric"] == IDLE for entry in definitions)
    assert row["withdrawn_in_use"] == sum(entry["metric"] == SCORE for entry in definitions)
    share = sum(entry["metric"] is not None for entry in instances) / len(instances)
    assert row["instances_mapped_percent"] == round(100 * share, 2)


def test_a_standard_metric_lists_what_is_mapped_to_it_in_every_system(firm: Rooms) -> None:
    firm.write("a/metric_definitions", DAY, [definition("cpu"), definition("load"), definition("idle", IDLE)])
    firm.write("a/metric_instances", DAY, [instance("load"), instance("load"), instance("ghost")])
    firm.write("b/metric_definitions", DAY, [definition("cpu.busy", interval_s=30)])
    rows = standard_metric_use(firm.lake, DAY, CPU)
    assert [(row["system"], row["source_metric"], row["definitions"], row["instances"]) for row in rows] == [
        ("a", "load", 1, 2), ("a", "ghost", 0, 1), ("a", "cpu", 1, 0), ("b", "cpu.busy", 1, 0),
    ]  # fmt: skip
    assert (rows[-1]["source_unit"], rows[-1]["interval_s"]) == ("percent", 30)


def command(firm: Rooms, project: Path, *arguments: str) -> Any:
    folders = ["--home", str(firm.lake.root.parent), "--project", str(project)]
    return CliRunner().invoke(standard_app, [*arguments, *folders])


def test_the_command_prints_coverage_for_people_and_machines(firm: Rooms, project_root: Path) -> None:
    firm.write("a/metric_definitions", DAY, [definition("cpu"), definition("odd", None)])
    table = command(firm, project_root, "coverage").stdout
    assert "50.0%" in table
    assert FIRM in table
    rows = json.loads(command(firm, project_root, "coverage", "--format", "json").stdout)
    assert [(row["system"], row["mapped_percent"]) for row in rows] == [("a", 50.0), (FIRM, 50.0)]
    lines = command(firm, project_root, "coverage", "--format", "csv").stdout.splitlines()
    assert len(lines) == 3


def test_the_command_lists_the_standard_and_shows_one_metric(firm: Rooms, project_root: Path) -> None:
    firm.write("a/metric_definitions", DAY, [definition("idle", IDLE)])
    assert CPU in command(firm, project_root, "list").stdout
    retired = json.loads(command(firm, project_root, "list", "--stability", "deprecated", "--format", "json").stdout)
    assert [row["metric"] for row in retired] == [IDLE]
    shown = command(firm, project_root, "show", IDLE).stdout
    assert "renamed_to" in shown
    assert "Mapped to it" in shown
    (row,) = json.loads(command(firm, project_root, "show", IDLE, "--format", "json").stdout)
    assert (row["source_metrics"], row["instances"], row["renamed_to"]) == (["a: idle"], 0, CPU)


def test_a_metric_that_is_not_in_the_standard_ends_the_command_with_what_is_near(
    firm: Rooms, project_root: Path
) -> None:
    done = command(firm, project_root, "show", "system.cpu.utilisation")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"is it {CPU}" in done.stderr
