"""The cube counts what a naive count counts, cell by cell, and knows what was not judged."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lower_rooms import (
    CI_RELATIONS,
    CONFIGURATION_ITEMS,
    DAY,
    NEXT_DAY,
    Rooms,
    Row,
    instance,
    violation,
)

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.statistics import DIMENSION_SETS, STATISTICS, compute_statistics
from omgov_assets.quality_policy.violations import CHECK_RESULTS, VIOLATIONS

SYSTEMS = ("securities", "asset_management")
COUNTS = ("anomalies", "anomalous_instances", "instances", "new_anomalies", "resolved_anomalies")
ALL_DIMENSIONS = (
    "anomaly_type",
    "quality_dimension",
    "severity",
    "system",
    "metric",
    "application_id",
    "host_id",
    "network_device_id",
    "site_id",
    "support_group_id",
    "owner_id",
    "collector",
)
VERDICTS = {"anomaly_type", "quality_dimension", "severity"}

Cell = tuple[str, tuple[str | None, ...]]


def cells(rooms: Rooms, day: date) -> dict[Cell, tuple[int, ...]]:
    """The stored cube: dimension set and values of the cell to its counts."""
    stored = {}
    for row in rooms.rows(STATISTICS, day):
        names = [] if row["dimension_set"] == "all" else row["dimension_set"].split("+")
        assert all(row[name] is None for name in ALL_DIMENSIONS if name not in names)
        key = (row["dimension_set"], tuple(row[name] for name in names))
        assert key not in stored, f"cell {key} is there twice"
        stored[key] = tuple(row[name] for name in COUNTS)
        rate = row["anomalous_instances"] / row["instances"] if row["instances"] else None
        assert row["rate"] == rate
    return stored


def analyse(rooms: Rooms, day: date) -> None:
    identify_anomalies(rooms.lake, day)
    compute_statistics(rooms.lake, day, SYSTEMS)


# --- the naive count
# ---------------------------------------------------------------------------------------------


def dimensions_of(ci_id: str | None) -> Row:
    """What a CI stands for, looked up record by record in the CMDB that the tests share."""
    known = {row["ci_id"]: row for row in reversed(CONFIGURATION_ITEMS)}
    item = known.get(ci_id or "", {})
    ci_class = item.get("ci_class")

    def targets(source: str | None, relation: str) -> list[str]:
        return sorted(t for s, r, t in CI_RELATIONS if (s, r) == (source, relation) and t in known)

    def applications(relation: str) -> list[str]:
        sources = {s for s, r, t in CI_RELATIONS if (r, t) == (relation, ci_id) and s in known}
        return sorted(s for s in sources if known[s]["ci_class"] == "application")

    hosts = [ci_id] if ci_class == "host" else targets(ci_id, "runs_on")
    host = hosts[0] if len(hosts) == 1 else None
    devices = [ci_id] if ci_class == "network_device" else []
    if ci_class in ("host", "database") and host:
        devices = targets(host, "connected_to")
    by_class = {
        "application": [ci_id],
        "host": applications("runs_on"),
        "database": applications("depends_on"),
    }
    return {
        "application_id": by_class.get(ci_class, []) or [None],
        "host_id": host,
        "network_device_id": min(devices, default=None),
        "site_id": ci_id if ci_class == "site" else item.get("site_id"),
        "support_group_id": item.get("support_group_id"),
        "owner_id": item.get("owner_id"),
    }


def values_of(subject: Row, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The cells of a dimension set that something belongs to: one, or one for each of its applications."""
    full = subject | dimensions_of(subject["ci_id"])
    combinations: list[tuple[Any, ...]] = [()]
    for name in names:
        values = full[name] if name == "application_id" else [full[name]]
        combinations = [(*combination, value) for combination in combinations for value in values]
    return combinations


def identity(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("system", "dataset", "anomaly_type", "subject_kind", "subject_key"))


def naive_cells(today: list[Row], yesterday: list[Row], instances: list[Row]) -> dict[Cell, tuple[int, ...]]:
    """Count every cell by walking over everything. Here each violation is one anomaly."""
    before = {identity(row) for row in yesterday}
    now = {identity(row) for row in today}
    inventory = {(row["system"], row["instance_id"]) for row in instances}
    resolved = [
        row
        for row in yesterday
        if identity(row) not in now
        and (row["subject_kind"] != "row" or (row["system"], row["subject_key"]) in inventory)
    ]
    counted: dict[Cell, tuple[int, ...]] = {}
    for names in DIMENSION_SETS:
        here = tuple(name for name in names if name not in VERDICTS)
        denominator: dict[tuple[Any, ...], set[tuple[str, str]]] = defaultdict(set)
        for row in instances:
            for values in values_of(row, here):
                denominator[values].add((row["system"], row["instance_id"]))
        found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        gone: dict[tuple[Any, ...], int] = defaultdict(int)
        for row in today:
            for values in values_of(row, names):
                found[values].append(row)
        for row in resolved:
            for values in values_of(row, names):
                gone[values] += 1
        for values in {*found, *gone, *([()] if not names else [])}:
            rows = found[values]
            place = tuple(value for name, value in zip(names, values, strict=True) if name not in VERDICTS)
            counted["+".join(names) or "all", values] = (
                len(rows),
                len({(row["system"], row["subject_key"]) for row in rows if row["subject_kind"] == "row"}),
                len(denominator[place]),
                sum(identity(row) not in before for row in rows),
                gone[values],
            )
    return counted


ci_ids = st.sampled_from(["HOST-1", "HOST-2", "DB-1", "DB-2", "APP-1", "APP-2", "NET-1", "SITE-2", "HOST-GHOST"])
anomaly_types = st.sampled_from(
    [
        ("flat_line", "accuracy", "warning"),
        ("stale_instance", "timeliness", "critical"),
        ("unit", "accuracy", "info"),
    ]
)


@st.composite
def firms(draw: st.DrawFn) -> tuple[list[Row], list[Row], list[Row]]:
    """An inventory, some of it listed twice, and the violations of two days; the inventory is that of the
    second.
    """
    inventory: list[Row] = []
    for number in range(draw(st.integers(0, 9))):
        row = instance(
            f"i{number}",
            system=draw(st.sampled_from(SYSTEMS)),
            ci_id=draw(ci_ids),
            metric=draw(st.sampled_from(["cpu", "memory", None])),
            collector=draw(st.sampled_from(["c1", "c2", None])),
        )
        inventory.append(row)
        if draw(st.booleans()):
            # Listed twice, perhaps through another collector.
            inventory.append(row | {"collector": draw(st.sampled_from(["c1", "c2"]))})

    def violations_of_a_day() -> list[Row]:
        rows = []
        for row in {item["instance_id"]: item for item in inventory}.values():
            for anomaly_type, quality_dimension, severity in draw(st.sets(anomaly_types)):
                rows.append(
                    violation(
                        row["instance_id"],
                        anomaly_type,
                        quality_dimension=quality_dimension,
                        severity=severity,
                        **{name: row[name] for name in ("system", "ci_id", "metric", "collector")},
                    )
                )
        # A batch is no instance.
        for batch in draw(st.sets(st.sampled_from(["b1", "b2"]))):
            nothing = {"ci_id": None, "metric": None, "collector": None, "subject_kind": "batch"}
            rows.append(violation(batch, "refused_batch", severity="critical", **nothing))
        return rows

    before, after = violations_of_a_day(), violations_of_a_day()
    # Some instances are withdrawn before the second day; what they had is gone without being resolved.
    names = sorted({row["instance_id"] for row in inventory})
    withdrawn = draw(st.sets(st.sampled_from(names))) if names else set()
    kept = [row for row in inventory if row["instance_id"] not in withdrawn]
    return before, [row for row in after if row["subject_key"] not in withdrawn], kept


def test_every_cell_is_what_a_naive_count_gives(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> None:
    contracts = project_root / "governance" / "standard" / "data_contracts"
    rooms = Rooms(Lake(tmp_path_factory.mktemp("cube") / "lake", dataset_contracts=contracts))
    rooms.write_cmdb(DAY)
    rooms.write_cmdb(NEXT_DAY)

    @settings(max_examples=12, deadline=None)
    @given(firms())
    def holds(firm: tuple[list[Row], list[Row], list[Row]]) -> None:
        before, after, inventory = firm
        rooms.write(VIOLATIONS, DAY, before)
        rooms.write(VIOLATIONS, NEXT_DAY, after)
        for system in SYSTEMS:
            rows = [row for row in inventory if row["system"] == system]
            rooms.write(f"{system}/metric_instances", NEXT_DAY, rows)
        identify_anomalies(rooms.lake, DAY)
        analyse(rooms, NEXT_DAY)
        assert cells(rooms, NEXT_DAY) == naive_cells(after, before, inventory)

    holds()


# --- single rules
# ------------------------------------------------------------------------------------------------


def test_the_dimension_sets_stored_are_those_declared(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    analyse(rooms, DAY)
    declared = {"+".join(names) or "all" for names in DIMENSION_SETS}
    assert {row["dimension_set"] for row in rooms.rows(STATISTICS, DAY)} == declared


def test_a_clean_day_still_has_its_total(rooms: Rooms) -> None:
    rooms.write("securities/metric_instances", DAY, [instance("i1"), instance("i2")])
    analyse(rooms, DAY)
    assert cells(rooms, DAY) == {("all", ()): (0, 0, 2, 0, 0)}


def test_an_instance_with_several_anomalies_counts_once(rooms: Rooms) -> None:
    rooms.write("securities/metric_instances", DAY, [instance("i1"), instance("i2")])
    rooms.write(VIOLATIONS, DAY, [violation("i1", "flat_line"), violation("i1", "stale_instance")])
    analyse(rooms, DAY)
    assert cells(rooms, DAY)["all", ()] == (2, 1, 2, 2, 0)


def test_a_refused_record_is_an_anomaly_but_no_instance(rooms: Rooms) -> None:
    rooms.write("securities/metric_instances", DAY, [instance("i1")])
    rooms.write(VIOLATIONS, DAY, [violation("batch:7", "refused_record", ci_id=None, metric=None, collector=None)])
    analyse(rooms, DAY)
    assert cells(rooms, DAY)["all", ()] == (1, 0, 1, 1, 0)


@pytest.mark.parametrize(("verdict", "resolved"), [("passed", 1), ("failed", 1), ("not_evaluated", 0), ("error", 0)])
def test_what_was_not_judged_again_is_not_resolved(rooms: Rooms, verdict: str, resolved: int) -> None:
    rooms.write("securities/metric_instances", NEXT_DAY, [instance("i1")])
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    result = {"system": "securities", "dataset": "metric_instances", "verdict": verdict}
    rooms.write(CHECK_RESULTS, NEXT_DAY, [result | {"policy_id": "metric_instances.flat_line"}])
    identify_anomalies(rooms.lake, DAY)
    analyse(rooms, NEXT_DAY)
    assert cells(rooms, NEXT_DAY)["all", ()] == (0, 0, 1, 0, resolved)


def test_an_instance_that_left_the_inventory_is_withdrawn_and_not_resolved(rooms: Rooms) -> None:
    rooms.write("securities/metric_instances", NEXT_DAY, [instance("other")])
    rooms.write(VIOLATIONS, DAY, [violation("i1"), violation("other")])
    identify_anomalies(rooms.lake, DAY)
    analyse(rooms, NEXT_DAY)
    assert cells(rooms, NEXT_DAY)["all", ()] == (0, 0, 1, 0, 1)


def test_a_system_without_an_inventory_has_no_rate(rooms: Rooms) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("metric_instances", "not_delivered", subject_kind="dataset", ci_id=None)])
    analyse(rooms, DAY)
    assert cells(rooms, DAY)["system", ("securities",)] == (1, 0, 0, 1, 0)


def test_every_row_says_what_it_was_computed_from(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write("securities/metric_instances", DAY, [instance("i1")])
    rooms.write(VIOLATIONS, DAY, [violation("i1")])
    result = {
        "system": "cmdb",
        "dataset": "owners",
        "policy_hash": "other",
        "data_version": 9,
        "verdict": "passed",
    }
    rooms.write(CHECK_RESULTS, DAY, [result])
    analyse(rooms, DAY)
    rows = rooms.rows(STATISTICS, DAY)
    assert len({row["policy_hash"] for row in rows}) == len({row["data_versions"] for row in rows}) == 1
    assert rows[0]["policy_hash"]
    versions = json.loads(rows[0]["data_versions"])
    assert versions["securities/metric_instances"] == rooms.lake.version("securities/metric_instances")
    assert {"cmdb/configuration_items", "cmdb/owners"} <= set(versions)


def test_a_second_run_changes_nothing(rooms: Rooms) -> None:
    rooms.write_cmdb(DAY)
    rooms.write("securities/metric_instances", DAY, [instance(f"i{n}") for n in range(9)])
    rooms.write(VIOLATIONS, DAY, [violation(f"i{n}") for n in range(5)])
    analyse(rooms, DAY)
    first = rooms.rows(STATISTICS)
    analyse(rooms, DAY)
    assert rooms.rows(STATISTICS) == first
