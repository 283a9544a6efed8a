"""The door: what leaves is what the naive reference says, and each decision is on record before it does."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from guarded_lake import (
    DATASET,
    DAY,
    KEY,
    NOW,
    TYPES,
    askers,
    cis,
    decision_point,
    drawn_rules,
    fill,
    groups_by_day,
    guarded_lake,
    principal,
    questions,
    rows,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.access import Asker, Grant, Row, Rules, answered, may_read, seen, shown_columns

from omgov_assets.access_control import governed_changes
from omgov_assets.access_control.audit_log import AuditLog, AuditUnavailableError
from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.enforcement import EnforcementPoint
from omgov_assets.access_control.governed_pages import PageQuestion
from omgov_assets.access_control.governed_query import AccessDeniedError, Condition, Query, QueryError
from omgov_assets.access_control.snapshot import prune_snapshots
from omgov_assets.data_lake.lake import UnknownVersionError
from omgov_assets.data_lake.settings import Settings

GRANTS = [Grant(one, "permit", one, None, None, None, None, None) for one in ("read", "see", "see_masked")]
RULES = Rules(
    roles={"steward": 2},
    purposes=("quality",),
    grants=GRANTS,
    grades=dict.fromkeys(TYPES, 1) | {"name": 3, "born": 3, "value": 4},
    made_of={},
    masks={"name": "hmac", "born": "to_year"},
    system="system",
    group="",
    match="all",
    by_metric=(),
    metric_grades={},
)
ASKER = Asker(frozenset({"steward"}), 2, "quality", frozenset({"s1"}), frozenset())
ROW: Row = {**dict.fromkeys(TYPES), "day": DAY, "system": "s1", "ci": "c1", "name": "Ann", "count": 1}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


class Firm:
    """A lake, and the door to it."""

    def __init__(self, folder: Path, rules: Rules = RULES, point: DecisionPoint | None = None) -> None:
        self.lake = guarded_lake(folder)
        self.log = AuditLog(folder / "home" / "audit")
        self.now = NOW
        self.snapshots = folder / "home" / "governed"
        self.door = self.door_by(point or decision_point(rules))

    def door_by(self, point: DecisionPoint) -> EnforcementPoint:
        return EnforcementPoint(self.lake, point, self.log, self.snapshots, clock=lambda: self.now)

    def rows_of(self, table: str) -> pa.Table:
        with self.lake.connect() as con:
            return con.sql(self.lake.query(table)).to_arrow_table()

    @property
    def record(self) -> list[dict[str, Any]]:
        return [entry.fields for entry in self.log.entries()]


@contextmanager
def opened(folder: Path, rules: Rules = RULES, point: DecisionPoint | None = None) -> Iterator[Firm]:
    firm = Firm(folder, rules, point)
    try:
        yield firm
    finally:
        firm.log.close()


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    with opened(tmp_path / "firm") as firm:
        fill(firm.lake, [ROW, ROW | {"system": "s2", "name": "Bob"}], {})
        yield firm


WHO = principal(ASKER)
WAYS = [
    "snapshot",
    "rows",
    "changes",
    "extract",
    "load",
    "describe",
    "page",
    "shared_files",
    "shared_changes",
]


def test_what_left_is_on_record_with_all_that_it_was(firm: Firm) -> None:
    given = firm.door.rows(WHO, DATASET, Query(("name", "count")), DAY).to_pylist()
    assert [row["count"] for row in given] == [1]
    (entry,) = firm.record
    assert entry["decision"] == "allow"
    assert (entry["principal"], entry["purpose"], entry["dataset"]) == ("p", "quality", DATASET)
    assert (entry["columns"], entry["masks"]) == (["name", "count"], '{"name":"hmac"}')
    assert (entry["rows"], entry["row_count"]) == ("system is one of s1", 1)
    assert entry["version"] == firm.lake.version(DATASET)
    assert entry["policy_hash"] == decision_point(RULES).decide(WHO, DATASET, NOW).policy_hash
    assert entry["reason"] == "omgov: clearance, read, see, see_masked"


@pytest.mark.parametrize("dataset", [DATASET, "one/nothing", "", "../one/series", "one/series\n"])
def test_a_denial_is_on_record_with_its_reason_and_says_none(firm: Firm, dataset: str) -> None:
    foreign = replace(WHO, purpose="fun")
    with pytest.raises(AccessDeniedError) as raised:
        firm.door.rows(foreign, dataset, Query(), DAY)
    assert str(raised.value) == (
        f"p may not read {dataset} for purpose fun, or there is no such dataset; `omgov access explain p {dataset}` "
        "says why to those who look after it"
    )
    (entry,) = firm.record
    assert (entry["decision"], entry["reason"], entry["row_count"]) == ("deny", "unknown purpose: fun", None)
    assert not firm.snapshots.exists()


@pytest.mark.parametrize("way", [*WAYS, "column_types"])
def test_every_way_out_denies_and_records(firm: Firm, way: str) -> None:
    nobody = replace(WHO, roles=frozenset({"ghost"}))
    with pytest.raises(AccessDeniedError):
        ask(firm, way, nobody)
    assert [(entry["decision"], entry["reason"]) for entry in firm.record] == [("deny", "unknown roles: ghost")]


@pytest.mark.parametrize("way", WAYS)
def test_nothing_leaves_when_the_audit_cannot_be_written(firm: Firm, way: str) -> None:
    firm.log.con.execute("PRAGMA query_only = ON")
    with pytest.raises(AuditUnavailableError, match="no data leaves"):
        ask(firm, way, WHO)
    firm.log.con.execute("PRAGMA query_only = OFF")
    assert firm.record == []
    ask(firm, way, WHO)
    assert [entry["decision"] for entry in firm.record] == ["allow"]


@pytest.mark.parametrize("way", WAYS)
def test_a_clock_set_back_is_a_denial(firm: Firm, way: str) -> None:
    ask(firm, way, WHO)
    firm.now -= timedelta(minutes=2)
    with pytest.raises(AccessDeniedError):
        ask(firm, way, WHO)
    assert [entry["decision"] for entry in firm.record] == ["allow", "deny"]
    assert firm.record[1]["reason"].startswith("the clock was set back")
    assert (firm.record[1]["columns"], firm.record[1]["rows"]) == ([], "none")


def test_a_question_that_cannot_be_asked_is_on_record_and_takes_nothing(firm: Firm) -> None:
    for column in ("value", "never_was"):
        with pytest.raises(QueryError, match=f"^{DATASET} has no column '{column}'$"):
            firm.door.rows(WHO, DATASET, Query((column,)), DAY)
    assert [(entry["decision"], entry["row_count"], entry["columns"]) for entry in firm.record] == [
        ("allow", 0, [])
    ] * 2
    assert firm.record[0]["reason"].endswith("nothing left: QueryError")
    assert not firm.snapshots.exists()


def test_an_earlier_version_is_seen_by_the_rights_of_today(firm: Firm) -> None:
    before = firm.lake.version(DATASET)
    assert before is not None
    fill(firm.lake, [ROW | {"count": 2}], {})
    old, new = (firm.door.rows(WHO, DATASET, Query(("count",)), DAY, version).to_pylist() for version in (before, None))
    assert (old, new) == ([{"count": 1}], [{"count": 2}])
    assert [entry["version"] for entry in firm.record] == [before, firm.lake.version(DATASET)]
    for version in (-1, 99):
        with pytest.raises(UnknownVersionError):
            firm.door.snapshot(WHO, DATASET, DAY, version)


def test_a_row_that_moves_across_the_filter_comes_and_goes(firm: Firm) -> None:
    first = firm.lake.version(DATASET)
    assert first is not None
    fill(firm.lake, [ROW | {"system": "s2"}, ROW | {"name": "Bob", "count": 2}], {})
    fill(firm.lake, [ROW | {"system": "s3"}, ROW | {"name": "Bob", "count": 2, "value": 7.0}], {})
    changes = firm.door.changes(WHO, DATASET, first + 1, first + 2).to_pylist()
    told = [(row["_commit_version"], row["_change_type"], row["count"]) for row in changes]
    assert told == [(first + 1, "delete", 1), (first + 1, "insert", 2)], "the second commit changed nothing in sight"
    assert "value" not in changes[0]
    assert firm.record[0]["row_count"] == 2
    with pytest.raises(UnknownVersionError):
        firm.door.changes(WHO, DATASET, first, first + 9)
    with pytest.raises(ValueError, match="the first is after the last"):
        firm.door.changes(WHO, DATASET, 2, 1)


def test_times_that_python_does_not_know_leave_as_they_are(firm: Firm) -> None:
    before = firm.lake.version(DATASET)
    assert before is not None
    # The year 0, and the year 10000.
    moments = [-62_135_625_600_000_000, 253_402_300_800_000_000]
    with firm.lake.connect() as con:
        held = con.sql(f"FROM ({firm.lake.query(DATASET, DAY)})").to_arrow_table()
    far = pa.concat_tables([held.slice(0, 1)] * len(moments))
    at = far.schema.get_field_index("seen_at")
    firm.lake.replace(DATASET, DAY, far.set_column(at, "seen_at", pa.array(moments).cast(far.schema[at].type)))
    rows = firm.door.rows(WHO, DATASET, Query(("seen_at",)), DAY)
    assert rows["seen_at"].cast(pa.int64()).to_pylist() == moments
    changes = firm.door.changes(WHO, DATASET, before + 1, before + 1)
    assert changes["_change_type"].to_pylist() == ["delete", "insert", "insert"]
    assert changes["seen_at"].cast(pa.int64()).to_pylist() == [None, *moments]


def test_nothing_changed_is_a_table_without_rows(firm: Firm) -> None:
    version = firm.lake.version(DATASET)
    assert version is not None
    fill(firm.lake, [ROW], {})
    nothing = firm.door.changes(WHO, DATASET, version + 1, version + 1)
    assert nothing.num_rows == 0
    assert nothing.column_names == [*firm.door.column_types(WHO, DATASET), "_change_type", "_commit_version"]


def test_more_changes_than_memory_has_room_for_are_not_told_at_once(
    firm: Firm, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = firm.lake.version(DATASET)
    assert first is not None
    fill(firm.lake, [ROW | {"system": "s2"}, ROW | {"name": "Bob", "count": 2}], {})
    monkeypatch.setattr(governed_changes, "MOST_CHANGES", 2)
    assert len(firm.door.changes(WHO, DATASET, first + 1, first + 1)) == 2
    monkeypatch.setattr(governed_changes, "MOST_CHANGES", 1)
    with pytest.raises(QueryError, match="ask for fewer versions"):
        firm.door.changes(WHO, DATASET, first + 1, first + 1)


def test_tables_for_sql_of_our_own_hold_what_is_shown_and_nulls(firm: Firm) -> None:
    with firm.lake.connect() as con:
        firm.lake.replace(
            DATASET, DAY, con.sql(f"FROM ({firm.lake.query(DATASET, DAY)})").select("* REPLACE (7.0::DOUBLE AS value)")
        )
        condition = (Condition("count", "in", (1, 2)),)
        assert firm.door.load(con, "of our own", WHO, DATASET, (DAY, DAY + timedelta(days=1)), condition) == 1
        ((name, value, system),) = con.execute('SELECT name, value, system FROM "of our own"').fetchall()
        assert (len(name), value, system) == (32, None, "s1")
        assert firm.door.load(con, "none", WHO, DATASET, (), condition) == 0
    assert [entry["row_count"] for entry in firm.record] == [1, 0]


def ask(firm: Firm, way: str, who: Any) -> object:
    match way:
        case "snapshot":
            return firm.door.snapshot(who, DATASET, DAY)
        case "rows":
            return firm.door.rows(who, DATASET, Query(), DAY)
        case "changes":
            return firm.door.changes(who, DATASET, 1, 1)
        case "describe":
            return firm.door.describe(who, DATASET)
        case "page":
            return firm.door.page(who, DATASET, PageQuestion(), DAY)
        case "shared_files":
            return firm.door.shared_files(who, DATASET)
        case "shared_changes":
            return firm.door.shared_changes(who, DATASET, 1, 1)
        case "column_types":
            return firm.door.column_types(who, DATASET)
        case "extract":
            with firm.door.extract(who, DATASET, Query(), DAY) as relation:
                return relation.fetchall()
    with firm.lake.connect() as con:
        return firm.door.load(con, "t", who, DATASET, (DAY,))


@settings(max_examples=40, deadline=None, suppress_health_check=SLOW)
@given(drawn_rules(), st.lists(askers, min_size=1, max_size=4), rows, rows, cis, st.data())
def test_all_that_leaves_is_what_the_naive_reference_says_and_on_record(
    rules: Rules,
    some: list[Asker],
    before: list[Row],
    after: list[Row],
    group_of_ci: dict[str, str],
    data: st.DataObject,
) -> None:
    groups = groups_by_day(group_of_ci)
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), rules) as firm:
        fill(firm.lake, before, group_of_ci)
        fill(firm.lake, after, group_of_ci)
        version = firm.lake.version(DATASET)
        assert version is not None
        expected = []
        for asker in some:
            who = principal(asker)
            if not may_read(rules, asker, DATASET, KEY.secret):
                with pytest.raises(AccessDeniedError):
                    firm.door.rows(who, DATASET, Query(), DAY)
                expected.append(("deny", None))
                continue
            shown = list(shown_columns(rules, asker, DATASET, KEY.secret))
            then, now = (seen(rules, asker, DATASET, series, groups, KEY.secret) for series in (before, after))
            columns, conditions, limit = data.draw(questions(shown))
            query = Query(tuple(columns), tuple(Condition(*one) for one in conditions), limit)
            answer = answered(now, columns, conditions, limit)
            assert firm.door.rows(who, DATASET, query, DAY).to_pylist() == answer
            with firm.door.extract(who, DATASET, query, DAY) as relation:
                assert relation.to_arrow_table().to_pylist() == answer
            old = firm.door.rows(who, DATASET, Query(), DAY, version - 1)
            assert old.to_pylist() == answered(then, shown, [], None)
            changes = firm.door.changes(who, DATASET, version, version).to_pylist()
            bags = [Counter(_hashable(row, shown) for row in series) for series in (then, now)]
            for kind, bag in (("delete", bags[0] - bags[1]), ("insert", bags[1] - bags[0])):
                assert Counter(_hashable(row, shown) for row in changes if row["_change_type"] == kind) == bag
            counts = (len(answer), len(answer), len(then), len(changes))
            expected += [("allow", count) for count in counts]
        assert [(entry["decision"], entry["row_count"]) for entry in firm.record] == expected


def _hashable(row: Row, columns: list[str]) -> tuple[Any, ...]:
    return tuple(row[column] for column in columns)


@pytest.mark.parametrize(
    ("document", "before", "after", "reason"),
    [
        ("datasets.cedar", "permit (", "permit ((", "datasets.cedar"),
        ("datasets.cedar", 'Role::"data_steward"', 'Role::"ghost"', "there is no role 'ghost'"),
        ("datasets.cedar", 'Dataset::"cmdb/support_groups"', 'Dataset::"cmdb/gone"', "there is no dataset 'cmdb/gone'"),
        ("columns.cedar", "resource.grade <=", "resource.degree <=", "degree"),
        ("access.yaml", "roles: [data_steward]", "roles: [ghost]", "no role is called 'ghost'"),
        ("access.yaml", "masks:\n", "masks:\n  cmdb/owners.fax: partial\n", "fax"),
        (
            "access.yaml",
            "clearance: 2, purposes: [quality]",
            "clearance: 3, purposes: [quality]",
            "contradicts the roles",
        ),
        ("access.yaml", "masks:\n", "masks:\n  cmdb/owners.active: partial\n", "does not fit"),
        ("schema.cedarschema", "entity Folder;", "entity Folder", "schema.cedarschema"),
    ],
)
def test_where_the_rules_cannot_be_read_everybody_is_denied_and_that_is_on_record(
    tmp_path: Path, project_root: Path, document: str, before: str, after: str, reason: str
) -> None:
    project = tmp_path / "project"
    for folder in ("governance", "expectations"):
        shutil.copytree(project_root / folder, project / folder)
    settings = Settings(tmp_path / "home", project)
    with EnforcementPoint.of_home(settings) as door:
        assert door.closed == ""
        assert door.snapshot(door.principal("steward"), "cmdb/owners").rows == 0
    path = project / "governance" / "access" / document
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with EnforcementPoint.of_home(settings) as door:
        assert reason in door.closed
        for principal_id in ("steward", "auditor", "ghost"):
            with pytest.raises(AccessDeniedError):
                door.snapshot(door.principal(principal_id), "cmdb/owners")
    with AuditLog(settings.audit) as log:
        outcomes = [(entry.fields["decision"], reason in entry.fields["reason"]) for entry in log.entries()]
    assert outcomes == [("allow", False), *[("deny", True)] * 3]


def test_no_file_of_a_class_of_principals_is_another_ones(firm: Firm) -> None:
    other = replace(WHO, systems=frozenset({"s2"}))
    mine, theirs = (firm.door.snapshot(who, DATASET, DAY) for who in (WHO, other))
    assert mine.path != theirs.path
    assert pq.read_table(mine.path)["system"].to_pylist() == ["s1"]
    assert pq.read_table(theirs.path)["system"].to_pylist() == ["s2"]


def test_snapshots_that_nobody_asks_for_are_pruned(firm: Firm) -> None:
    old, new = (firm.door.snapshot(replace(WHO, systems=frozenset(one)), DATASET, DAY).path for one in (["s1"], ["s2"]))
    left_behind = old.with_name(".x.part")
    left_behind.touch()
    ago = datetime(2026, 1, 1, tzinfo=UTC)
    for path in (old, new, left_behind):
        os.utime(path, (ago.timestamp(), ago.timestamp()))
    assert firm.door.snapshot(replace(WHO, systems=frozenset(["s2"])), DATASET, DAY).was_there
    assert prune_snapshots(firm.snapshots, ago + timedelta(days=1)) == 2
    assert (old.exists(), new.exists(), left_behind.exists()) == (False, True, False)
    assert not firm.door.snapshot(WHO, DATASET, DAY).was_there
