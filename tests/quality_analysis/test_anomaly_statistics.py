"""The cube counts what a naive count counts, cell by cell, and knows what was not judged."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
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
    RULES,
    THIRD_DAY,
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
# Two days without trading, so that no anomaly touches a session.
SATURDAY, SUNDAY = NEXT_DAY, THIRD_DAY
SEVERITY_WEIGHTS = {"critical": 1.0, "warning": 0.3, "info": 0.05}
TIER_WEIGHTS = {1: 4, 2: 2}
COUNTS = ("anomalies", "anomalous_instances", "instances", "new_anomalies", "resolved_anomalies")
MORE_MEASURES = (
    "withdrawn_anomalies",
    "unverified_anomalies",
    "severity_score",
    "business_impact",
    "mean_open_days",
    "oldest_first_seen_day",
    "not_evaluated_share",
)
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


def cells(rooms: Rooms, day: date, measures: tuple[str, ...] = COUNTS) -> dict[Cell, tuple[Any, ...]]:
    """The stored cube: dimension set and values of the cell to its counts."""
    stored = {}
    for row in rooms.rows(STATISTICS, day):
        names = [] if row["dimension_set"] == "all" else row["dimension_set"].split("+")
        assert all(row[name] is None for name in ALL_DIMENSIONS if name not in names)
        key = (row["dimension_set"], tuple(row[name] for name in names))
        assert key not in stored, f"cell {key} is there twice"
        stored[key] = tuple(round(v, 9) if isinstance(v, float) else v for v in (row[name] for name in measures))
        rate = row["anomalous_instances"] / row["instances"] if row["instances"] else None
        assert row["rate"] == rate
        assert row["rate_lower_bound"] == (None if rate is None else pytest.approx(wilson(rate, row["instances"])))
    return stored


def wilson(rate: float, trials: int) -> float:
    """The smallest true rate whose 95 % range holds what was seen: solved by bisection, not by the formula."""
    low, high = 0.0, rate
    for _ in range(60):
        middle = (low + high) / 2
        if rate - middle > 1.959963984540054 * math.sqrt(middle * (1 - middle) / trials):
            low = middle
        else:
            high = middle
    return low


def analyse(rooms: Rooms, day: date) -> None:
    identify_anomalies(rooms.lake, day, RULES)
    compute_statistics(rooms.lake, day, RULES)


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
        "network_device_id": devices or [None],
        "site_id": ci_id if ci_class == "site" else item.get("site_id"),
        "support_group_id": item.get("support_group_id"),
        "owner_id": item.get("owner_id"),
        "tier": min((t for a in by_class.get(ci_class, []) if (t := known[a]["tier"])), default=None),
    }


def values_of(subject: Row, names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The cells of a dimension set that something belongs to: one, or one for each of its applications and devices."""
    full = subject | dimensions_of(subject["ci_id"])
    combinations: list[tuple[Any, ...]] = [()]
    for name in names:
        values = full[name] if name in ("application_id", "network_device_id") else [full[name]]
        combinations = [(*combination, value) for combination in combinations for value in values]
    return combinations


def identity(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in ("system", "dataset", "anomaly_type", "subject_kind", "subject_key"))


@dataclass(frozen=True)
class Firm:
    """Two days of a firm: violations of both, each one anomaly; inventories; verdicts of policies by system."""

    before: list[Row]
    after: list[Row]
    last_inventory: list[Row]
    inventory: list[Row]
    last_verdicts: list[Row]
    verdicts: list[Row]

    def outcome(self, row: Row) -> str | None:
        """What became of an anomaly of the first day; None where it is there still."""
        if identity(row) in {identity(other) for other in self.after}:
            return None
        named = [(v["system"], v["policy_id"]) == (row["system"], row["policy_id"]) for v in self.verdicts]
        today = [v["verdict"] for v, is_its in zip(self.verdicts, named, strict=True) if is_its]
        of_dataset = [v["verdict"] for v in self.verdicts if v["system"] == row["system"]]
        is_row = row["subject_kind"] == "row"
        if today and today[0] in ("not_evaluated", "error"):
            return "unverified"
        if not today and any(
            (v["system"], v["policy_id"]) == (row["system"], row["policy_id"]) for v in self.last_verdicts
        ):
            return "unverified"
        if is_row and of_dataset and set(of_dataset) == {"not_evaluated"}:
            return "unverified"
        is_kept = (row["system"], row["subject_key"]) in {(i["system"], i["instance_id"]) for i in self.inventory}
        return "withdrawn" if is_row and not is_kept else "resolved"

    def not_evaluated_share(self, names: tuple[str, ...], values: tuple[Any, ...]) -> float | None:
        """Pairs of instance and policy without a verdict, of all of a cell's."""
        delivered = {row["system"] for row in self.inventory}
        listed = [*self.inventory, *(row for row in self.last_inventory if row["system"] not in delivered)]
        here = tuple(name for name in names if name not in VERDICTS)
        place = tuple(value for name, value in zip(names, values, strict=True) if name not in VERDICTS)
        asked = {name: value for name, value in zip(names, values, strict=True) if name in VERDICTS}
        instances = {(r["system"], r["instance_id"]) for r in listed if place in values_of(r, here)}
        pairs = [
            verdict["verdict"] in ("not_evaluated", "error")
            for system, _ in instances
            for verdict in self.verdicts
            if verdict["system"] == system and all(verdict[name] == value for name, value in asked.items())
        ]
        return round(sum(pairs) / len(pairs), 9) if pairs else None


def naive_cells(firm: Firm) -> tuple[dict[Cell, tuple[Any, ...]], dict[Cell, tuple[Any, ...]]]:
    """Count every cell by walking over everything: ``COUNTS``, and ``MORE_MEASURES``."""
    before = {identity(row) for row in firm.before}
    counted: dict[Cell, tuple[Any, ...]] = {}
    more: dict[Cell, tuple[Any, ...]] = {}
    for names in DIMENSION_SETS:
        here = tuple(name for name in names if name not in VERDICTS)
        denominator: dict[tuple[Any, ...], set[tuple[str, str]]] = defaultdict(set)
        for row in firm.inventory:
            for values in values_of(row, here):
                denominator[values].add((row["system"], row["instance_id"]))
        found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        gone: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for row in firm.after:
            for values in values_of(row, names):
                found[values].append(row)
        for row in firm.before:
            outcome = firm.outcome(row)
            for values in values_of(row, names) if outcome else ():
                gone[values].append(outcome)
        for values in {*found, *gone, *([()] if not names else [])}:
            rows = found[values]
            place = tuple(value for name, value in zip(names, values, strict=True) if name not in VERDICTS)
            cell = "+".join(names) or "all", values
            counted[cell] = (
                len(rows),
                len({(row["system"], row["subject_key"]) for row in rows if row["subject_kind"] == "row"}),
                len(denominator[place]),
                sum(identity(row) not in before for row in rows),
                gone[values].count("resolved"),
            )
            weights = [SEVERITY_WEIGHTS[row["severity"]] for row in rows]
            tiers = [TIER_WEIGHTS.get(dimensions_of(row["ci_id"])["tier"], 1) for row in rows]
            open_days = [2 if identity(row) in before else 1 for row in rows]
            more[cell] = (
                gone[values].count("withdrawn"),
                gone[values].count("unverified"),
                round(sum(weights), 9),
                round(sum(w * tier for w, tier in zip(weights, tiers, strict=True)), 9),
                round(sum(open_days) / len(rows), 9) if rows else None,
                (SUNDAY if max(open_days) == 1 else SATURDAY) if rows else None,
                firm.not_evaluated_share(names, values),
            )
    return counted, more


ci_ids = st.sampled_from(["HOST-1", "HOST-2", "DB-1", "DB-2", "APP-1", "APP-2", "NET-1", "SITE-2", "HOST-GHOST"])
ANOMALY_TYPES = [
    ("flat_line", "accuracy", "warning"),
    ("stale_instance", "timeliness", "critical"),
    ("unit", "accuracy", "info"),
]
anomaly_types = st.sampled_from(ANOMALY_TYPES)
judged = st.sampled_from(["passed", "failed", "not_evaluated", "error"])


@st.composite
def firms(draw: st.DrawFn) -> Firm:
    """Two days of a firm. Some instances are listed twice, some are withdrawn, and a system may deliver nothing on the
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
    missing = draw(st.sampled_from([*SYSTEMS, None]))
    verdicts = [
        {
            "system": system,
            "dataset": "metric_instances",
            "policy_id": f"metric_instances.{anomaly_type}",
            "anomaly_type": anomaly_type,
            "quality_dimension": quality_dimension,
            "severity": severity,
        }
        for system in SYSTEMS
        for anomaly_type, quality_dimension, severity in ANOMALY_TYPES
    ]
    last_verdicts = [row | {"verdict": "passed"} for row in verdicts if draw(st.booleans())]
    today = [
        row | {"verdict": "not_evaluated" if row["system"] == missing else draw(judged)}
        for row in verdicts
        if draw(st.integers(0, 4))
    ]
    return Firm(
        before,
        [row for row in after if row["subject_key"] not in withdrawn and row["system"] != missing],
        inventory,
        [row for row in kept if row["system"] != missing],
        last_verdicts,
        today,
    )


def test_every_cell_is_what_a_naive_count_gives(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> None:
    contracts = project_root / "governance" / "standard" / "data_contracts"
    rooms = Rooms(Lake(tmp_path_factory.mktemp("cube") / "lake", dataset_contracts=contracts))
    rooms.write_cmdb(SATURDAY)
    rooms.write_cmdb(SUNDAY)

    @settings(max_examples=12, deadline=None)
    @given(firms())
    def holds(firm: Firm) -> None:
        for day, violations, inventory, verdicts in (
            (SATURDAY, firm.before, firm.last_inventory, firm.last_verdicts),
            (SUNDAY, firm.after, firm.inventory, firm.verdicts),
        ):
            rooms.write(VIOLATIONS, day, violations)
            rooms.write(CHECK_RESULTS, day, verdicts)
            for system in SYSTEMS:
                rows = [row for row in inventory if row["system"] == system]
                rooms.write(f"{system}/metric_instances", day, rows)
        identify_anomalies(rooms.lake, SATURDAY, RULES)
        analyse(rooms, SUNDAY)
        counts, more = naive_cells(firm)
        assert cells(rooms, SUNDAY) == counts
        assert cells(rooms, SUNDAY, MORE_MEASURES) == more
        for row in rooms.rows(STATISTICS, SUNDAY):
            if row["dimension_set"] == "all":
                gone = row["resolved_anomalies"] + row["withdrawn_anomalies"] + row["unverified_anomalies"]
                assert row["anomalies"] == len(firm.before) + row["new_anomalies"] - gone

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
    identify_anomalies(rooms.lake, DAY, RULES)
    analyse(rooms, NEXT_DAY)
    assert cells(rooms, NEXT_DAY)["all", ()] == (0, 0, 1, 0, resolved)


def test_an_instance_that_left_the_inventory_is_withdrawn_and_not_resolved(rooms: Rooms) -> None:
    rooms.write("securities/metric_instances", NEXT_DAY, [instance("other")])
    rooms.write(VIOLATIONS, DAY, [violation("i1"), violation("other")])
    identify_anomalies(rooms.lake, DAY, RULES)
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
