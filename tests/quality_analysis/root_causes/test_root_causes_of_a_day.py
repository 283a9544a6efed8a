"""The root causes of a day: found in a lake, followed from day to day, and shown wherever anomalies are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lower_rooms import DAY, NEXT_DAY, RULES, THIRD_DAY, Rooms, Row, instance, violation
from typer.testing import CliRunner

from omgov_assets.cli.commands import app
from omgov_assets.model_management.root_cause_rules import Evidence, RootCauseRules
from omgov_assets.quality_analysis.anomalies import ANOMALIES, identify_anomalies
from omgov_assets.quality_analysis.changes import recompute_changes
from omgov_assets.quality_analysis.rankings import rank_anomalies
from omgov_assets.quality_analysis.root_causes import (
    ANOMALY_CAUSES,
    ROOT_CAUSES,
    RootCauseSummary,
    find_root_causes,
)
from omgov_assets.quality_analysis.rules import AnalysisRules
from omgov_assets.quality_analysis.scorecards import compute_scorecards
from omgov_assets.quality_analysis.statistics import compute_statistics
from omgov_assets.quality_analysis.views import write_views
from omgov_assets.quality_policy.violations import VIOLATIONS

RACKED: AnalysisRules = replace(
    RULES,
    root_causes=RootCauseRules(
        attributes=("collector", "rack", "network_device", "host", "system", "metric", "application", "support_group")
    ),
)
HOSTS, METRICS, SERIES = 40, 5, 4


def host(number: int) -> str:
    return f"HOST-{number:02}"


def write_firm(rooms: Rooms, day: date) -> None:
    """40 hosts in 8 racks; applications 0 to 3 run on ten hosts each, application 4 on half of those of 0 too."""
    items: list[Row] = [
        {"ci_id": host(n), "ci_class": "host", "name": f"srv-{n}", "rack": f"R{n // 5}",
         "support_group_id": f"SG-{n % 2}", "owner_id": f"OWN-{n % 3}"}
        for n in range(HOSTS)
    ]  # fmt: skip
    items += [{"ci_id": f"APP-{n}", "ci_class": "application", "name": f"app {n}"} for n in range(5)]
    rooms.write(
        "cmdb/configuration_items", day, [{"_batch_id": "b", "_record_no": n} | item for n, item in enumerate(items)]
    )
    runs = [(f"APP-{n // 10}", host(n)) for n in range(HOSTS)] + [("APP-4", host(n)) for n in range(5)]
    rooms.write(
        "cmdb/ci_relations",
        day,
        [{"source_ci_id": application, "relation": "runs_on", "target_ci_id": ci} for application, ci in runs],
    )
    write_inventory(rooms, day)


def inventory() -> list[Row]:
    return [
        instance(f"i{n}-{metric}-{series}", ci_id=host(n), metric=f"metric.{metric}", collector=f"C{n % 4}")
        for n in range(HOSTS)
        for metric in range(METRICS)
        for series in range(SERIES)
    ]


def write_inventory(rooms: Rooms, day: date) -> None:
    rooms.write("securities/metric_instances", day, inventory())


def of(row: Row, anomaly_type: str, **fields: Any) -> Row:
    """A violation of an instance."""
    return violation(row["instance_id"], anomaly_type) | {
        name: row[name] for name in ("ci_id", "metric", "collector")
    } | fields  # fmt: skip


def rack(name: str) -> list[Row]:
    return [row for row in inventory() if f"R{int(row['ci_id'][5:]) // 5}" == name]


def scattered(every: int = 59) -> list[Row]:
    """Anomalies that have nothing in common."""
    return [of(row, "flat_line") for number, row in enumerate(inventory()) if number % every == 7]


def silent_rack() -> list[Row]:
    return [of(row, "stale_instance", severity="critical") for row in rack("R3")]


def govern(rooms: Rooms, day: date, violations: Iterable[Row], rules: AnalysisRules = RACKED) -> RootCauseSummary:
    rooms.write(VIOLATIONS, day, violations)
    identify_anomalies(rooms.lake, day, rules)
    compute_statistics(rooms.lake, day, rules)
    rank_anomalies(rooms.lake, day)
    summary = find_root_causes(rooms.lake, day, rules)
    compute_scorecards(rooms.lake, day, rules)
    return summary


def causes(rooms: Rooms, day: date = DAY) -> list[Row]:
    rows = rooms.rows(ROOT_CAUSES, day, order="rank")
    return [row | {"conditions": json.loads(row["conditions"])} for row in rows]


def test_a_planted_cause_is_found_with_what_it_means(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    summary = govern(rooms, DAY, [*silent_rack(), *scattered()])
    (cause,) = causes(rooms)
    assert cause["conditions"] == {"rack": "R3", "anomaly_type": "stale_instance"}
    assert cause["anomaly_types"] == ["stale_instance"]
    assert (cause["rank"], cause["depth"], cause["dataset"], cause["subject_kind"]) == (1, 2, "metric_instances", "row")
    # 100 of 800 instances, all of them; of other instances none is silent.
    assert cause["anomalies"] == cause["anomalous_subjects"] == cause["matching_anomalies"] == cause["subjects"] == 100
    assert (cause["support"], cause["rate"], cause["severity"]) == (0.125, 1.0, "critical")
    assert cause["coverage"] == pytest.approx(100 / summary.anomalies)
    assert cause["lift"] == pytest.approx(cause["matching_anomalies"] / cause["expected_anomalies"])
    assert (cause["cis"], cause["applications"]) == (5, 1)
    assert cause["support_group_ids"] == ["SG-1", "SG-0"]
    assert cause["owner_ids"] == ["OWN-0", "OWN-1", "OWN-2"]
    assert (cause["since"], cause["new_anomalies"], cause["first_found_day"]) == (DAY, 100, DAY)
    assert cause["previous_anomalies"] is None
    assert json.loads(cause["data_versions"]).keys() >= {"securities/metric_instances", "cmdb/configuration_items"}
    assert (summary.causes, summary.explained) == (1, 100)
    assert summary.explained_share == pytest.approx(100 / summary.anomalies)


def test_every_anomaly_has_one_row_with_its_cause_or_none(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    govern(rooms, DAY, [*silent_rack(), *scattered(), violation("b", "refused_batch", subject_kind="batch")])
    (cause,) = causes(rooms)
    types = {row["anomaly_id"]: row["anomaly_type"] for row in rooms.rows(ANOMALIES, DAY)}
    assigned = {row["anomaly_id"]: row["cause_id"] for row in rooms.rows(ANOMALY_CAUSES, DAY)}
    assert assigned.keys() == types.keys()
    assert all((cause_id == cause["cause_id"]) == (types[a] == "stale_instance") for a, cause_id in assigned.items())
    assert {cause_id for a, cause_id in assigned.items() if types[a] != "stale_instance"} == {None}


def test_types_that_the_same_subjects_have_are_one_cause(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    govern(rooms, DAY, [of(row, kind) for row in rack("R3") for kind in ("stale_instance", "flat_line")])
    (cause,) = causes(rooms)
    assert cause["conditions"] == {"rack": "R3"}
    assert cause["anomaly_types"] == ["flat_line", "stale_instance"]
    assert (cause["anomalies"], cause["anomalous_subjects"], cause["depth"]) == (200, 100, 1)


def test_types_of_different_subjects_in_one_place_are_two_causes(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    half = len(rack("R3")) // 2
    rows = rack("R3")
    kinds = [of(row, "stale_instance" if number < half else "flat_line") for number, row in enumerate(rows)]
    govern(rooms, DAY, kinds)
    found = causes(rooms)
    assert sorted(cause["conditions"]["anomaly_type"] for cause in found) == ["flat_line", "stale_instance"]
    assert [cause["anomalies"] for cause in found] == [50, 50]


def test_a_metric_of_a_collector_is_a_cause_of_two_attributes(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    place = [row for row in inventory() if row["collector"] == "C2" and row["metric"] == "metric.4"]
    govern(rooms, DAY, [*(of(row, "wrong_unit") for row in place), *scattered()])
    (cause,) = causes(rooms)
    assert cause["conditions"] == {"collector": "C2", "metric": "metric.4", "anomaly_type": "wrong_unit"}
    assert cause["anomalies"] == len(place) == 40


def test_a_host_of_two_applications_counts_in_parts_and_once_in_all(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    rules = replace(RULES, root_causes=RootCauseRules(attributes=("application",)))
    govern(rooms, DAY, [of(row, "stale_instance") for row in inventory() if int(row["ci_id"][5:]) < 10], rules)
    (first, *_) = found = causes(rooms)
    assert first["conditions"]["application"] == "APP-0"
    # Of ten hosts five run another application, too: 5 × 20 × 1 + 5 × 20 × 1/2.
    assert first["subjects"] == first["matching_anomalies"] == 150
    assert sum(cause["anomalies"] for cause in found) == 200


def test_missing_instances_are_set_against_the_cis_that_there_are(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    missing = [
        violation(f"{host(n)} expected.{m}", "missing_instance", subject_kind="expected_instance", ci_id=host(n),
                  metric=f"expected.{m}", collector=None, batch_id=None, record_no=None)
        for n in range(5, 10) for m in range(4)
    ]  # fmt: skip
    govern(rooms, DAY, missing)
    (cause,) = causes(rooms)
    assert cause["conditions"] == {"rack": "R1", "anomaly_type": "missing_instance"}
    assert (cause["subject_kind"], cause["anomalies"]) == ("expected_instance", 20)


def test_a_day_without_anomalies_has_no_causes(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    summary = govern(rooms, DAY, [])
    assert (summary.causes, summary.anomalies, summary.explained_share) == (0, 0, None)
    assert rooms.rows(ROOT_CAUSES, DAY) == rooms.rows(ANOMALY_CAUSES, DAY) == []


def test_a_day_without_cmdb_is_localised_by_what_rows_say_themselves(rooms: Rooms) -> None:
    write_inventory(rooms, DAY)
    place = [row for row in inventory() if row["collector"] == "C2"]
    govern(rooms, DAY, [*(of(row, "stale_instance") for row in place), *scattered()])
    (cause,) = causes(rooms)
    assert cause["conditions"] == {"collector": "C2", "anomaly_type": "stale_instance"}
    assert (cause["applications"], cause["support_group_ids"], cause["owner_ids"]) == (0, [], [])


def test_a_day_without_inventory_has_anomalies_without_causes(rooms: Rooms) -> None:
    summary = govern(rooms, DAY, silent_rack())
    assert (summary.causes, summary.anomalies) == (0, 100)
    assert {row["cause_id"] for row in rooms.rows(ANOMALY_CAUSES, DAY)} == {None}


def test_evidence_of_one_attribute_leaves_none_beside_the_type(rooms: Rooms) -> None:
    write_firm(rooms, DAY)
    rules = replace(RULES, root_causes=RootCauseRules(evidence=Evidence(deepest=1)))
    assert govern(rooms, DAY, silent_rack(), rules).causes == 0


# From day to day


def three_days(rooms: Rooms) -> None:
    for day in (DAY, NEXT_DAY, THIRD_DAY):
        write_firm(rooms, day)
    few = [of(row, "stale_instance", severity="critical") for row in rack("R3")[:60]]
    govern(rooms, DAY, [*few, *scattered()])
    govern(rooms, NEXT_DAY, [*silent_rack(), *scattered()])
    broken = [of(row, "flat_line") for row in rack("R6")]
    govern(rooms, THIRD_DAY, [*silent_rack(), *broken, *scattered()])


def test_a_cause_is_followed_over_the_days_that_it_lasts(rooms: Rooms) -> None:
    three_days(rooms)
    first, second = causes(rooms, DAY), causes(rooms, NEXT_DAY)
    third = {cause["conditions"]["rack"]: cause for cause in causes(rooms, THIRD_DAY)}
    # A place is named by what is wrong in it: three of five hosts are not the rack, and then are.
    assert {cause["conditions"].get("rack") for cause in second} == {"R3"}
    (rack_3,) = second
    assert (rack_3["anomalies"], rack_3["new_anomalies"], rack_3["since"]) == (100, 40, DAY)
    of_old = [cause for cause in first if cause["cause_id"] == rack_3["cause_id"]]
    assert rack_3["previous_anomalies"] == (of_old[0]["anomalies"] if of_old else 0)
    assert third.keys() == {"R3", "R6"}
    assert third["R3"]["cause_id"] == rack_3["cause_id"]
    assert (third["R3"]["first_found_day"], third["R3"]["previous_anomalies"]) == (rack_3["first_found_day"], 100)
    assert (third["R3"]["since"], third["R3"]["new_anomalies"]) == (DAY, 0)
    assert (third["R6"]["first_found_day"], third["R6"]["previous_anomalies"]) == (THIRD_DAY, 0)
    assert (third["R6"]["since"], third["R6"]["new_anomalies"]) == (THIRD_DAY, sum(
        row["anomaly_id"] in new_ids(rooms) for row in rooms.rows(ANOMALY_CAUSES, THIRD_DAY)
        if row["cause_id"] == third["R6"]["cause_id"]
    ))  # fmt: skip


def new_ids(rooms: Rooms) -> set[str]:
    return {row["anomaly_id"] for row in rooms.rows(ANOMALIES, THIRD_DAY) if row["first_seen_day"] == THIRD_DAY}


def test_after_a_rerun_the_next_days_causes_are_what_they_would_have_been(rooms: Rooms) -> None:
    three_days(rooms)
    right_at_once = [rooms.rows(table) for table in (ROOT_CAUSES, ANOMALY_CAUSES)]
    govern(rooms, DAY, scattered())
    assert recompute_changes(rooms.lake, DAY, RACKED) == [NEXT_DAY, THIRD_DAY]
    (rack_3,) = causes(rooms, NEXT_DAY)
    assert (rack_3["new_anomalies"], rack_3["since"], rack_3["previous_anomalies"]) == (100, NEXT_DAY, 0)
    assert rack_3["first_found_day"] == NEXT_DAY

    few = [of(row, "stale_instance", severity="critical") for row in rack("R3")[:60]]
    govern(rooms, DAY, [*few, *scattered()])
    assert recompute_changes(rooms.lake, DAY, RACKED) == [NEXT_DAY, THIRD_DAY]
    again = [rooms.rows(table) for table in (ROOT_CAUSES, ANOMALY_CAUSES)]
    without = [[{k: v for k, v in row.items() if k != "data_versions"} for row in rows] for rows in right_at_once]
    assert [[{k: v for k, v in row.items() if k != "data_versions"} for row in rows] for rows in again] == without


def test_the_same_day_twice_gives_the_same_rows(rooms: Rooms) -> None:
    three_days(rooms)
    before = [rooms.rows(table, THIRD_DAY) for table in (ROOT_CAUSES, ANOMALY_CAUSES)]
    find_root_causes(rooms.lake, THIRD_DAY, RACKED)
    assert [rooms.rows(table, THIRD_DAY) for table in (ROOT_CAUSES, ANOMALY_CAUSES)] == before


# Where causes are shown


class Commands:
    """The command line on the lake of a test."""

    def __init__(self, rooms: Rooms, project_root: Path) -> None:
        self.folders = ("--home", str(rooms.lake.root.parent), "--project", str(project_root))

    def text(self, *arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, *self.folders], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    def rows(self, *arguments: str) -> list[Row]:
        rows: list[Row] = json.loads(self.text(*arguments, "--format", "json"))
        return rows


@pytest.fixture
def commands(rooms: Rooms, project_root: Path) -> Commands:
    write_firm(rooms, DAY)
    govern(rooms, DAY, [*silent_rack(), *scattered()])
    return Commands(rooms, project_root)


def test_the_command_lists_the_causes_of_the_last_day(rooms: Rooms, commands: Commands) -> None:
    (row,) = commands.rows("root-cause")
    (cause,) = causes(rooms)
    assert row["cause"] == "stale_instance: rack R3"
    assert (row["cause_id"], row["anomalies"], row["share"]) == (cause["cause_id"], 100, cause["coverage"])
    assert json.loads(row["conditions"]) == cause["conditions"]
    assert "stale_instance" in commands.text("root-cause", "--day", DAY.isoformat())


def test_the_anomalies_of_a_cause_and_those_of_none_are_all(rooms: Rooms, commands: Commands) -> None:
    (cause,) = causes(rooms)
    mine = commands.rows("anomalies", "--cause", cause["cause_id"])
    assert (len(mine), {row["anomaly_type"] for row in mine}) == (100, {"stale_instance"})
    others = commands.rows("anomalies", "--cause", "none")
    assert {row["anomaly_type"] for row in others} == {"flat_line"}
    assert len(mine) + len(others) == len(rooms.rows(ANOMALIES, DAY))


def test_explain_names_the_cause_of_a_subject(rooms: Rooms, commands: Commands) -> None:
    (cause,) = causes(rooms)
    subject = rack("R3")[0]["instance_id"]
    (row,) = commands.rows("explain", subject)
    assert (row["cause_id"], row["anomalies_of_cause"]) == (cause["cause_id"], 100)
    assert json.loads(row["cause"]) == cause["conditions"]
    unexplained = next(row["subject_key"] for row in scattered())
    assert commands.rows("explain", unexplained)[0]["cause_id"] is None


def test_the_views_for_bi_tools_join_anomalies_to_causes(rooms: Rooms, commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "omgov.duckdb"
    assert {"root_causes", "anomaly_causes"} <= set(write_views(rooms.lake, file))
    with duckdb.connect(str(file), read_only=True) as con:
        found = con.sql(
            "SELECT causes.rank, count(*) FROM anomalies JOIN anomaly_causes USING (day, anomaly_id) "
            "JOIN root_causes AS causes USING (day, cause_id) GROUP BY ALL"
        ).fetchall()
    assert found == [(1, 100)]


def test_without_causes_the_command_says_what_to_do(rooms: Rooms, project_root: Path) -> None:
    write_firm(rooms, DAY)
    rooms.write(VIOLATIONS, DAY, silent_rack())
    identify_anomalies(rooms.lake, DAY, RACKED)
    compute_statistics(rooms.lake, DAY, RACKED)
    folders = ("--home", str(rooms.lake.root.parent), "--project", str(project_root))
    result = CliRunner().invoke(app, ["root-cause", *folders])
    assert result.exit_code == 1
    assert "holds no quality/root_causes yet" in result.stderr
    assert "omgov run --day 2026-11-20" in result.stderr
