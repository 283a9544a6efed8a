"""The sample firm with incidents: what happens, that its truth holds, and that nothing changes without them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from recount import recount

from omgov_assets.sample_firm.generate import generate_firm
from omgov_assets.sample_firm.incidents import FEWEST_DAYS
from omgov_assets.sample_firm.judgeable import DERIVED_FROM, SYSTEMS

FIRST = date(2026, 11, 9)
DAYS = [FIRST + timedelta(days=n) for n in range(8)]


def firm(out: Path, *, days: int = len(DAYS), incidents: bool = True) -> None:
    generate_firm(
        out, definitions=1_000, instances=10_000, days=days, first_day=FIRST, seed=11, incidents=incidents
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("incidents")
    firm(out)
    return out


def query(sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        return con.execute(sql).fetchall()


def truth_of(home: Path, day: date) -> set[tuple[str, ...]]:
    columns = "system, dataset, anomaly_type, subject_kind, subject_key"
    rows = query(f"SELECT {columns} FROM '{home}/truth/{day}.parquet'")
    assert len(rows) == len(set(rows))
    return set(rows)


def missing(home: Path) -> Iterator[tuple[date, str, str]]:
    for dataset in sorted((home / "landing").glob("*/*")):
        for day in DAYS:
            if not (dataset / day.isoformat()).exists():
                yield day, dataset.parent.name, dataset.name


def digests(home: Path) -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_incidents(home: Path, tmp_path: Path) -> None:
    firm(tmp_path)
    assert digests(tmp_path) == digests(home)


def test_without_incidents_nothing_is_missing_and_no_members_are_told(tmp_path: Path) -> None:
    firm(tmp_path, days=1, incidents=False)
    assert sorted({day for day, *_ in missing(tmp_path)}) == DAYS[1:]
    assert not (tmp_path / "truth" / "members").exists()


def test_too_few_days_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"at least {FEWEST_DAYS} days"):
        firm(tmp_path, days=FEWEST_DAYS - 1)


def test_deliveries_of_each_kind_are_missing_on_days_of_their_own(home: Path) -> None:
    found = list(missing(home))
    assert sorted(dataset for _, _, dataset in found) == [
        "configuration_items", "metric_definitions", "metric_instances", "metric_samples", "owners",
    ]  # fmt: skip
    assert len({day for day, *_ in found}) == 5
    assert not {DAYS[0], DAYS[-1]} & {day for day, *_ in found}


def test_of_a_missing_delivery_nothing_is_told_but_that(home: Path) -> None:
    for day, system, dataset in missing(home):
        told = {row for row in truth_of(home, day) if row[:2] == (system, dataset)}
        assert told == {(system, dataset, "not_delivered", "dataset", dataset)}


def test_what_needs_a_missing_delivery_is_not_told_and_all_else_is(home: Path) -> None:
    by_dataset = {dataset: (day, system) for day, system, dataset in missing(home)}
    conflicts = {"unit_conflict", "interval_conflict", "attribute_conflict"}
    expected = {
        "metric_instances": conflicts | {"missing_baseline_metric", "ci_decommissioned_reporting"},
        "configuration_items": {"unknown_ci", "owner_missing", "relation_ci_unknown", "missing_baseline_metric"},
        "owners": {"owner_inactive", "ci_owner_inactive", "ci_owner_unknown"},
        "metric_definitions": {"definition_type_conflict"},
    }
    for dataset, types in expected.items():
        day, _ = by_dataset[dataset]
        assert {row[2] for row in truth_of(home, day)} & types == set()
        assert types <= {row[2] for row in truth_of(home, DAYS[-1])}
    day, system = by_dataset["metric_definitions"]
    of_it = {row[2] for row in truth_of(home, day) if row[:2] == (system, "metric_instances")}
    assert of_it & {"undefined_metric", "unit_mismatch", "interval_mismatch"} == set()
    elsewhere = {row[2] for row in truth_of(home, day) if row[0] != system}
    assert "unit_mismatch" in elsewhere


def test_on_days_with_all_deliveries_the_truth_is_what_a_recount_finds(home: Path, project_root: Path) -> None:
    whole = sorted({*DAYS} - {day for day, *_ in missing(home)})
    assert len(whole) == 3
    for day in whole:
        told = {(system, dataset, kind, key) for system, dataset, kind, _, key in truth_of(home, day)}
        assert told == recount(home, project_root, day)


def test_owners_leave_and_their_items_keep_them(home: Path) -> None:
    def inactive(day: date) -> set[str]:
        folder = home / "landing" / "cmdb" / "owners" / day.isoformat()
        return {owner for (owner,) in query(f"SELECT owner_id FROM '{folder}/*.csv' WHERE NOT active::BOOLEAN")}

    left = inactive(DAYS[-1]) - inactive(DAYS[0])
    assert len(left) == 3
    items = home / "landing" / "cmdb" / "configuration_items" / DAYS[-1].isoformat()
    kept = query(f"SELECT owner_id, count(*) FROM '{items}/*.csv' GROUP BY ALL")
    assert all(number >= 3 for owner, number in kept if owner in left)
    assert left <= {owner for owner, _ in kept}


def test_a_member_is_open_and_verified_exactly_where_the_truth_of_the_day_has_it(home: Path) -> None:
    for day in DAYS:
        rows = query(
            "SELECT system, dataset, anomaly_type, subject_kind, subject_key "
            f"FROM '{home}/truth/members/{day}.parquet' WHERE state = 'open' AND is_verified"
        )
        assert len(rows) == len(set(rows))
        assert set(rows) == truth_of(home, day)


def test_nobody_who_was_once_a_member_is_forgotten(home: Path) -> None:
    ever: set[tuple[str, ...]] = set()
    for day in DAYS:
        ever |= truth_of(home, day)
        path = f"{home}/truth/members/{day}.parquet"
        assert {
            row for row in query(f"SELECT DISTINCT * EXCLUDE (day, state, is_verified, state_day) FROM '{path}'")
        } == ever


def test_series_leave_the_inventory_and_come_back(home: Path) -> None:
    members = f"'{home}/truth/members/*.parquet'"
    ((left, returned),) = query(
        f"""SELECT count(DISTINCT subject_key) FILTER (state = 'withdrawn'),
            count(DISTINCT subject_key) FILTER (before = 'withdrawn' AND state = 'open')
        FROM (SELECT *, lag(state) OVER (
            PARTITION BY system, dataset, anomaly_type, subject_key ORDER BY day) AS before FROM {members})"""
    )
    assert 0 < returned < left


def test_the_firm_knows_which_metrics_are_derived(project_root: Path) -> None:
    headers = [
        yaml.safe_load(path.read_text(encoding="utf-8").split("---")[1])
        for path in sorted((project_root / "governance" / "derived_metrics").glob("*.sql"))
    ]
    assert {(header["metric"], header["dataset"]) for header in headers} == {
        (name, needed[0]) for name, needed in DERIVED_FROM.items()
    }
    assert len(SYSTEMS) == 5
