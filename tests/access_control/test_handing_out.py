"""Files of days and of changes that links lead to, and what is told of datasets: nothing from out of sight."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
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
    askers,
    cis,
    decision_point,
    drawn_rules,
    fill,
    groups_by_day,
    principal,
    rows,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracle.access import Asker, Row, Rules, may_read
from test_enforcement import ROW, RULES, WHO, Firm, opened
from test_non_interference import changed_out_of_sight

from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.governed_pages import Order, PageQuestion
from omgov_assets.access_control.governed_query import AccessDeniedError
from omgov_assets.access_control.snapshot import snapshot_id
from omgov_assets.data_lake.lake import UnknownVersionError

NEXT = DAY + timedelta(days=1)
OTHERS = ROW | {"system": "s2"}


def hold(firm: Firm, day: date, series: list[Row]) -> None:
    schema = firm.lake.schema(DATASET).arrow
    firm.lake.replace(DATASET, day, pa.Table.from_pylist([row | {"day": day} for row in series], schema=schema))


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    with opened(tmp_path / "firm") as firm:
        fill(firm.lake, [ROW, OTHERS], {})
        hold(firm, NEXT, [OTHERS])
        hold(firm, NEXT + timedelta(days=1), [ROW, ROW, OTHERS])
        yield firm


def test_a_dataset_is_described_as_the_principal_sees_it(firm: Firm) -> None:
    told = firm.door.describe(WHO, DATASET)
    assert told.days == (DAY, DAY + timedelta(days=2))
    assert told.version == firm.lake.version(DATASET)
    assert told.rows_in_words == "system is one of s1"
    shown = {column.name: (column.sql_type, column.masked) for column in told.columns}
    assert (shown["name"], shown["count"]) == (("VARCHAR", True), ("BIGINT", False))
    assert "value" not in shown
    assert [(entry["decision"], entry["row_count"]) for entry in firm.record] == [("allow", 0)]
    hold(firm, DAY, [OTHERS])
    assert firm.door.describe(WHO, DATASET).days == (DAY + timedelta(days=2),)


def test_datasets_are_those_that_may_be_read_and_that_is_on_record(firm: Firm) -> None:
    assert firm.door.datasets(WHO) == [DATASET]
    assert firm.door.datasets(replace(WHO, scope=("read:cmdb/*",))) == []
    assert firm.door.datasets(replace(WHO, scope=("share:one/*",)), "share") == [DATASET]
    assert firm.door.datasets(replace(WHO, roles=frozenset({"ghost"}))) == []
    assert [(entry["decision"], entry["dataset"]) for entry in firm.record] == [
        ("allow", "*"),
        ("deny", "*"),
        ("allow", "*"),
        ("deny", "*"),
    ]
    firm.log.con.execute("PRAGMA query_only = ON")
    with pytest.raises(AuditUnavailableError):
        firm.door.datasets(WHO)


def test_shared_files_are_those_of_days_with_rows_in_sight(firm: Firm) -> None:
    files = firm.door.shared_files(WHO, DATASET)
    assert [(one.day, one.rows) for one in files] == [(DAY, 1), (DAY + timedelta(days=2), 2)]
    assert [one.day for one in firm.door.shared_files(WHO, DATASET, [NEXT, DAY, date(2020, 1, 1)])] == [DAY]
    assert firm.record[0]["row_count"] == 3
    before = firm.lake.version(DATASET)
    hold(firm, DAY, [])
    assert [one.day for one in firm.door.shared_files(WHO, DATASET)] == [DAY + timedelta(days=2)]
    assert [one.path for one in firm.door.shared_files(WHO, DATASET, version=before)] == [one.path for one in files]
    with pytest.raises(UnknownVersionError):
        firm.door.shared_files(WHO, DATASET, version=99)
    with pytest.raises(AccessDeniedError):
        firm.door.shared_files(replace(WHO, scope=("read",)), DATASET)


def test_whoever_does_not_see_days_is_told_none(tmp_path: Path) -> None:
    hidden = replace(RULES, grades=RULES.grades | {"day": 4})
    with opened(tmp_path / "firm", hidden) as firm:
        fill(firm.lake, [ROW], {})
        hold(firm, NEXT, [ROW])
        assert firm.door.describe(WHO, DATASET).days == ()
        (whole,) = firm.door.shared_files(WHO, DATASET, [DAY])
        assert (whole.day, whole.rows) == (None, 2)


def test_a_table_that_was_never_written_shares_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "firm") as firm:
        assert firm.door.shared_files(WHO, DATASET) == []
        assert (firm.door.describe(WHO, DATASET).version, firm.door.describe(WHO, DATASET).days) == (None, ())


def test_changes_are_files_as_deltas_change_feed_has_them(firm: Firm) -> None:
    last = firm.lake.version(DATASET)
    assert last is not None
    hold(firm, DAY, [ROW | {"count": 5}, OTHERS])
    hold(firm, NEXT, [OTHERS, OTHERS])
    files = firm.door.shared_changes(WHO, DATASET, 0, last + 2)
    times = firm.lake.commit_times(DATASET)
    assert [(one.version, one.rows) for one in files] == [(1, 1), (3, 2), (last + 1, 2)]
    assert all(one.committed_at == times[one.version] for one in files)
    shown = firm.door.column_types(WHO, DATASET)
    assert pq.read_schema(files[-1].path).names == [*shown, "_change_type"]
    in_files = [row | {"_commit_version": one.version} for one in files for row in pq.read_table(one.path).to_pylist()]
    assert in_files == firm.door.changes(WHO, DATASET, 0, last + 2).to_pylist()
    assert [(row["_change_type"], row["count"]) for row in in_files[-2:]] == [("delete", 1), ("insert", 5)]
    assert firm.record[0]["row_count"] == 5
    again = firm.door.shared_changes(WHO, DATASET, 0, last + 2)
    assert again == files
    assert firm.door.hand_out("p", snapshot_id(files[0].path)) == files[0].path


def test_each_version_has_a_time_after_that_of_the_one_before(firm: Firm) -> None:
    times = firm.lake.commit_times(DATASET)
    assert list(times) == list(range((firm.lake.version(DATASET) or 0) + 1))
    assert sorted(times.values()) == list(times.values())
    assert len(set(times.values())) == len(times)


def test_a_link_leads_to_its_file_and_that_is_on_record(firm: Firm) -> None:
    (file, _) = firm.door.shared_files(WHO, DATASET)
    assert firm.door.hand_out("p", file.snapshot_id) == file.path
    entry = firm.record[-1]
    assert (entry["principal"], entry["dataset"], entry["decision"]) == ("p", DATASET, "allow")
    assert entry["reason"] == f"link to {file.snapshot_id}"
    assert (entry["row_count"], entry["columns"]) == (1, pq.read_schema(file.path).names)
    firm.log.con.execute("PRAGMA query_only = ON")
    with pytest.raises(AuditUnavailableError):
        firm.door.hand_out("p", file.snapshot_id)
    firm.log.con.execute("PRAGMA query_only = OFF")
    firm.now -= timedelta(minutes=5)
    with pytest.raises(AccessDeniedError):
        firm.door.hand_out("p", file.snapshot_id)


def test_no_name_leads_out_of_the_folder(firm: Firm) -> None:
    (file, _) = firm.door.shared_files(WHO, DATASET)
    name = file.path.stem
    (firm.snapshots / "one/series/2026-11-20" / f"{'a' * 32}.parquet").symlink_to("/etc/passwd")
    outside = firm.snapshots.parent / "outside"
    outside.mkdir()
    (outside / f"{name}.parquet").write_bytes(file.path.read_bytes())
    (firm.snapshots / "one" / "linked").symlink_to(outside.parent)
    (outside.parent / "all").symlink_to(outside)
    os.mkfifo(firm.snapshots / "one/series/2026-11-20" / f"{'b' * 32}.parquet")
    for wrong in (
        "",
        name,
        f"{DATASET}/2026-11-20/{'0' * 32}",
        f"{DATASET}/2026-11-20/{'a' * 32}",
        f"{DATASET}/2026-11-20/{'b' * 32}",
        f"one/linked/all/{name}",
        f"../outside/{name}",
        f"one/../one/series/2026-11-20/{name}",
        f"one/series/../series/{name}",
        f"/{file.snapshot_id}",
        f"{file.snapshot_id}.parquet",
        f"{file.snapshot_id}\n",
        f"{file.snapshot_id}\x00",
        f"one/series/2026-11-20/{name.upper()}",
        f"one/series/2026-11-2０/{name}",
        f"{DATASET}/2026-11-21/{name}",
        "x" * 100_000,
    ):
        with pytest.raises(AccessDeniedError):
            firm.door.hand_out("p", wrong)
        assert firm.record[-1]["decision"] == "deny"
        assert len(firm.record[-1]["dataset"]) <= 500
    file.path.unlink()
    with pytest.raises(AccessDeniedError):
        firm.door.hand_out("p", file.snapshot_id)
    with pytest.raises(AccessDeniedError):
        firm.door_by(DecisionPoint.nobody("the rules cannot be read")).hand_out("p", file.snapshot_id)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn_rules(), askers, rows, cis, st.data())
def test_two_lakes_that_differ_out_of_sight_tell_and_share_the_same(
    rules: Rules, asker: Asker, series: list[Row], group_of_ci: dict[str, str], data: st.DataObject
) -> None:
    assume(may_read(rules, asker, DATASET, KEY.secret))
    groups = groups_by_day(group_of_ci)
    other = changed_out_of_sight(data, rules, asker, series, groups)
    who = principal(asker)
    shown = [column.name for column in decision_point(rules).decide(who, DATASET, NOW).shown]
    order = tuple(Order(name, data.draw(st.booleans())) for name in data.draw(st.permutations(shown))[:2])
    given: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, content in enumerate((series, other)):
            with opened(Path(folder) / str(number), rules) as firm:
                fill(firm.lake, content, group_of_ci)
                told: list[Any] = [firm.door.datasets(who), firm.door.describe(who, DATASET)]
                asked = PageQuestion(order=order, size=2)
                while True:
                    page = firm.door.page(who, DATASET, asked, DAY)
                    told.append(page.rows.to_pylist())
                    if page.next is None:
                        break
                    asked = replace(asked, cursor=page.next)
                told += [(one.day, one.path.read_bytes()) for one in firm.door.shared_files(who, DATASET)]
                for one in firm.door.shared_changes(who, DATASET, 0, 1):
                    told.append((one.version, one.path.read_bytes()))
                given.append(repr(told))
    assert given[0] == given[1]
