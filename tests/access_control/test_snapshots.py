"""Governed snapshots are made once for a class of principals, made anew when anything changes, and never in part."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from guarded_lake import (
    DATASET,
    DAY,
    KEY,
    NOW,
    SCHEMA,
    TYPES,
    decision_point,
    fill,
    governed_rows,
    guarded_lake,
    principal,
)
from oracle.access import Asker, Grant, Rules

from omgov_assets.access_control import snapshot as snapshot_module
from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import (
    AccessDeniedError,
    Condition,
    Query,
    QueryError,
    governed_select,
)
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.access_control.snapshot import ROWS_PER_GROUP, planned_snapshot
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.masks import masked_column

assert SCHEMA.is_file()
ROW: dict[str, Any] = {
    **dict.fromkeys(TYPES),
    "day": DAY,
    "system": "s1",
    "ci": "c1",
    "name": "Ann",
    "seen_at": datetime(2026, 5, 17, 4, 5, tzinfo=UTC),
    "born": date(1990, 5, 17),
}
RULES = Rules(
    roles={"steward": 2},
    purposes=("quality",),
    grants=[Grant("all", "permit", action, None, None, None, None, None) for action in ("read", "see", "see_masked")],
    grades=dict.fromkeys(TYPES, 1) | {"name": 3, "born": 3, "seen_at": 3, "value": 4},
    made_of={},
    masks={"name": "hmac", "born": "to_year", "seen_at": "to_quarter"},
    system="system",
    group="",
    match="all",
    by_metric=(),
    metric_grades={},
)
ASKER = Asker(frozenset({"steward"}), 2, "quality", frozenset({"s1"}), frozenset())


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = guarded_lake(tmp_path / "firm")
    fill(lake, [ROW, ROW | {"system": "s2"}], {})
    return lake


def decision(asker: Asker = ASKER, rules: Rules = RULES, key: MaskKey | None = KEY) -> Decision:
    return decision_point(rules, key).decide(principal(asker), DATASET, NOW)


def test_a_class_of_principals_shares_a_snapshot(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "governed"
    first = planned_snapshot(lake, decision(), DAY, folder, KEY).made(lake)
    again = planned_snapshot(lake, replace(decision(), principal="another"), DAY, folder, KEY).made(lake)
    assert (first.rows, first.was_there) == (1, False)
    assert (again.path, again.was_there) == (first.path, True)
    both = replace(ASKER, systems=frozenset({"s1", "s2"}))
    other = planned_snapshot(lake, decision(both), DAY, folder, KEY).made(lake)
    assert (other.rows, other.was_there) == (2, False)


def test_a_snapshot_is_made_anew_when_the_table_or_the_rules_change(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "governed"
    first = planned_snapshot(lake, decision(), DAY, folder, KEY).made(lake)
    fill(lake, [ROW, ROW], {})
    second = planned_snapshot(lake, decision(), DAY, folder, KEY).made(lake)
    assert (second.rows, second.was_there) == (2, False)
    assert first.versions[DATASET] != second.versions[DATASET]
    other_rules = replace(decision(), policy_hash="another")
    assert planned_snapshot(lake, other_rules, DAY, folder, KEY).made(lake).was_there is False


def test_a_snapshot_stays_when_another_day_is_written(lake: Lake, tmp_path: Path) -> None:
    first = planned_snapshot(lake, decision(), DAY, tmp_path / "governed", KEY).made(lake)
    tomorrow = DAY + timedelta(days=1)
    with lake.connect() as con:
        day_after = con.sql(f"SELECT * REPLACE (day + 1 AS day) FROM ({lake.query(DATASET, DAY)})")
        lake.replace(DATASET, tomorrow, day_after.select("* REPLACE (day::DATE AS day)"))
    again = planned_snapshot(lake, decision(), DAY, tmp_path / "governed", KEY).made(lake)
    assert again.was_there
    assert again.versions == first.versions
    assert planned_snapshot(lake, decision(), None, tmp_path / "governed", KEY).made(lake).rows == 2


def test_a_snapshot_of_nothing_has_the_columns_all_the_same(lake: Lake, tmp_path: Path) -> None:
    nobodys = planned_snapshot(lake, decision(replace(ASKER, systems=frozenset())), DAY, tmp_path, KEY).made(lake)
    no_day = planned_snapshot(lake, decision(), date(2020, 1, 1), tmp_path, KEY).made(lake)
    assert (nobodys.rows, no_day.rows) == (0, 0)
    with lake.connect() as con:
        assert nobodys.relation(con).columns == [column.name for column in decision().shown]
    assert nobodys.path.read_bytes() == no_day.path.read_bytes()


def test_what_is_masked_is_nowhere_in_the_file(lake: Lake, tmp_path: Path) -> None:
    canary = "canary-7f3a@example.com"
    fill(lake, [ROW | {"name": canary}, ROW | {"system": "s2", "alias": "hidden-" + canary}], {})
    snapshot = planned_snapshot(lake, decision(), DAY, tmp_path / "governed", KEY).made(lake)
    assert b"canary" not in snapshot.path.read_bytes()
    assert b"hidden" not in snapshot.path.read_bytes()
    assert canary not in governed_select(lake, decision(), DAY, KEY).sql


def test_the_key_and_the_grants_are_no_part_of_the_statement(lake: Lake) -> None:
    select = governed_select(lake, decision(), DAY, KEY)
    assert KEY.secret.hex() not in select.sql
    assert "s1" not in select.sql
    assert select.parameters["systems"] == ["s1"]


@pytest.mark.parametrize("refused", ["denied", "other_key", "no_key"])
def test_nothing_is_read_by_a_decision_that_does_not_hold(lake: Lake, tmp_path: Path, refused: str) -> None:
    made, key = decision(), KEY
    if refused == "denied":
        made = decision(replace(ASKER, purpose="fun"))
    elif refused == "other_key":
        key = MaskKey(b"l" * 32, KEY.expires_at)
    with pytest.raises(AccessDeniedError):
        planned_snapshot(lake, made, DAY, tmp_path / "governed", None if refused == "no_key" else key).made(lake)
    assert not (tmp_path / "governed").exists()


def test_a_snapshot_that_fails_on_the_way_leaves_nothing(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(snapshot_module.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        planned_snapshot(lake, decision(), DAY, tmp_path / "governed", KEY).made(lake)
    assert [path for path in (tmp_path / "governed").rglob("*") if path.is_file()] == []


def test_rows_come_in_groups_of_one_size(lake: Lake, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    rows = ROWS_PER_GROUP * 2 + 7
    with lake.connect() as con:
        one = f"SELECT * FROM ({lake.query(DATASET, DAY)}) WHERE system = 's1'"
        lake.replace(DATASET, DAY, con.sql(f"SELECT t.* REPLACE (i AS count) FROM ({one}) t, range({rows}) r(i)"))
    path = planned_snapshot(lake, decision(), DAY, tmp_path / "governed", KEY).made(lake).path
    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sizes == [ROWS_PER_GROUP, ROWS_PER_GROUP, 7]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (Query(("value",)), "has no column 'value'"),  # dropped
        (Query(("never",)), "has no column 'never'"),
        (Query(None, (Condition("value", "is null"),)), "has no column 'value'"),
        (Query(None, (Condition("system", "=", 1),)), "system is VARCHAR"),
        (Query(None, (Condition("count", "=", "1"),)), "count is BIGINT"),
        (Query(None, (Condition("count", "=", True),)), "count is BIGINT"),
        (Query(None, (Condition("count", "=", 2**63),)), "count is BIGINT"),
        (Query(None, (Condition("flag", "=", 1),)), "flag is BOOLEAN"),
        (Query(None, (Condition("day", "=", datetime(2026, 1, 1, tzinfo=UTC)),)), "day is DATE"),
        (Query(None, (Condition("seen_at", "=", datetime(2026, 1, 1)),)), "seen_at is TIMESTAMPTZ"),
        (Query(None, (Condition("system", "like", "s%"),)), "system is VARCHAR"),  # type: ignore[arg-type]
        (Query(None, (Condition("system", "is null", "s1"),)), "system is VARCHAR"),
        (Query(None, (Condition('system" OR 1=1 --', "=", "s"),)), "has no column"),
        (Query(()), "at least one column"),
        (Query(("day", "day")), "each column once"),
        (Query(limit=-1), "a limit is 0 or more"),
    ],
)
def test_a_question_that_cannot_be_asked_says_why(lake: Lake, query: Query, problem: str) -> None:
    with pytest.raises(QueryError) as raised:
        governed_rows(lake, decision(), DAY, query, KEY)
    assert problem in str(raised.value)


def test_conditions_see_masked_values_only(lake: Lake) -> None:
    asked = Query(("name",), (Condition("name", "=", "Ann"),))
    assert governed_rows(lake, decision(), DAY, asked, KEY) == []
    ((shown),) = governed_rows(lake, decision(), DAY, Query(("name", "born", "seen_at")), KEY)
    assert shown["born"] == date(1990, 1, 1)
    assert shown["seen_at"] == datetime(2026, 4, 1, tzinfo=UTC)
    asked = Query(("name",), (Condition("name", "=", shown["name"]),))
    assert governed_rows(lake, decision(), DAY, asked, KEY) == [{"name": shown["name"]}]


@pytest.mark.parametrize("value", ["'infinity'", "'-infinity'", "'5881580-07-10'", "'5877642-06-25 (BC)'", "NULL"])
@pytest.mark.parametrize("period", ["to_month", "to_quarter", "to_year"])
def test_no_date_is_so_odd_that_masking_fails(value: str, period: Any) -> None:
    with duckdb.connect() as con:
        masked = masked_column("born", "DATE", period)
        assert len(con.sql(f"SELECT {masked} FROM (SELECT {value}::DATE AS born)").fetchall()) == 1
        masked = masked_column("at", "TIMESTAMPTZ", period)
        times = {"'5881580-07-10'": "'294247-01-10'", "'5877642-06-25 (BC)'": "'290309-12-22 (BC)'"}
        text = times.get(value, value)
        assert len(con.sql(f"SELECT epoch_us({masked}) FROM (SELECT {text}::TIMESTAMPTZ AS at)").fetchall()) == 1
