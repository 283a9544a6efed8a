"""Pages: put together they are what a naive sort gives, whatever is written meanwhile; and no cursor opens anything."""

from __future__ import annotations

import json
import math
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from guarded_lake import CIS, DATASET, DAY, NAMES, TYPES, VALUES, decision_point, fill, principal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle.access import Row
from test_enforcement import ASKER, ROW, RULES, WHO, Firm, opened

from omgov_assets.access_control.governed_pages import CursorExpiredError, Order, Page, PageQuestion
from omgov_assets.access_control.governed_query import Condition, QueryError

OPEN = replace(RULES, grades=dict.fromkeys(TYPES, 1), masks={})
# Few values, so that there are ties and nulls; and those that are easily put in the wrong place.
FEW: dict[str, st.SearchStrategy[Any]] = {
    **VALUES,
    "system": st.just("s1"),
    "ci": st.sampled_from(["c1", "c2", None]),
    "name": NAMES,
    "value": st.sampled_from([None, math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -1.5, 5e-324]),
    "count": st.sampled_from([None, -(2**63), -1, 0, 2**53 + 1, 2**53, 2**63 - 1]),
    "born": st.sampled_from([None, date(1, 1, 1), date(1969, 12, 31), date(2026, 2, 28), date(9999, 12, 31)]),
    "seen_at": st.sampled_from(
        [
            None,
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ]
    ),
}
many = st.lists(st.fixed_dictionaries({"day": st.just(DAY), **FEW}), max_size=25)
orders = st.lists(
    st.builds(Order, st.sampled_from(sorted(TYPES)), st.booleans()), max_size=4, unique_by=lambda one: one.column
)
conditions = st.lists(
    st.sampled_from(sorted(set(TYPES) - {"day"})).flatmap(
        lambda column: (
            st.builds(
                Condition,
                st.just(column),
                st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
                FEW[column].filter(lambda value: value is not None),
            )
            | st.builds(Condition, st.just(column), st.sampled_from(["is null", "is not null"]))
        )
    ),
    max_size=1,
)


def comparable(value: Any) -> Any:
    """DuckDB takes NaN for equal to itself and greater than all."""
    return (math.isnan(value), 0.0 if math.isnan(value) else value) if isinstance(value, float) else value


def told(value: Any) -> str:
    """A value as text that tells NaN, -0.0 and nulls apart, and times whatever their zone is called."""
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else repr(value)


def naively_ordered(rows: list[Row], order: list[Order]) -> list[Row]:
    ordered = list(rows)
    for one in reversed(order):
        there = [row for row in ordered if row[one.column] is not None]
        there.sort(key=lambda row: comparable(row[one.column]), reverse=one.descending)
        ordered = there + [row for row in ordered if row[one.column] is None]
    return ordered


def meets(row: Row, condition: Condition) -> bool:
    value = row[condition.column]
    if condition.operator.startswith("is"):
        return (value is None) == (condition.operator == "is null")
    if value is None:
        return False
    one, other = comparable(value), comparable(condition.value)
    less, equal = one < other, one == other
    return {
        "=": equal,
        "!=": not equal,
        "<": less,
        "<=": less or equal,
        ">": not less and not equal,
        ">=": not less,
    }[condition.operator]


def pages(firm: Firm, asked: PageQuestion, **more: Any) -> Iterator[Page]:
    """All pages, one after the other."""
    while True:
        page = firm.door.page(WHO, DATASET, asked, DAY, **more)
        yield page
        if page.next is None:
            return
        asked = replace(asked, cursor=page.next)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(many, st.lists(st.tuples(orders, conditions, st.integers(1, 8)), min_size=3, max_size=3), st.data())
def test_pages_put_together_are_what_a_naive_sort_gives(
    series: list[Row], some: list[tuple[list[Order], list[Condition], int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder), OPEN) as firm:
        fill(firm.lake, series, {})
        (whole,) = pages(firm, PageQuestion(size=10_000))
        snapshot = whole.rows.to_pylist()
        whole_rows, all_rows = ([[told(row[name]) for name in TYPES] for row in some] for some in (snapshot, series))
        assert sorted(whole_rows) == sorted(all_rows)
        for order, conditions, size in some:
            columns = tuple(data.draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, unique=True)))
            kept = [row for row in snapshot if all(meets(row, one) for one in conditions)]
            expected = [[told(row[column]) for column in columns] for row in naively_ordered(kept, order)]
            given = list(pages(firm, PageQuestion(columns, tuple(conditions), tuple(order), size)))
            found = [list(map(told, row.values())) for page in given for row in page.rows.to_pylist()]
            assert found == expected
            assert [page.rows.num_rows for page in given[:-1]] == [size] * (len(given) - 1)
            assert len(given) == max(1, -(-len(expected) // size))
            assert all(page.rows.column_names == list(columns) for page in given)


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    with opened(tmp_path / "firm") as firm:
        fill(firm.lake, [ROW | {"name": f"n{number}", "count": number % 3} for number in range(9)], {"c1": "g1"})
        yield firm


BY_COUNT = PageQuestion(("count", "name"), order=(Order("count", True),), size=4)


def test_pages_stay_those_of_the_first_one_whatever_is_written_meanwhile(firm: Firm) -> None:
    at_once = [page.rows.to_pylist() for page in pages(firm, BY_COUNT)]
    one_by_one = []
    versions = set()
    for number, page in enumerate(pages(firm, BY_COUNT)):
        one_by_one.append(page.rows.to_pylist())
        versions.add(page.version)
        fill(firm.lake, [ROW | {"count": 100 + number}] * 3, {"c1": "g1"})
    assert one_by_one == at_once
    assert len(versions) == 1
    (first,) = pages(firm, replace(BY_COUNT, size=10))
    assert {row["count"] for row in first.rows.to_pylist()} == {102}


def test_a_page_is_on_record_with_its_columns_and_rows(firm: Firm) -> None:
    sizes = [page.rows.num_rows for page in pages(firm, BY_COUNT)]
    assert [(entry["decision"], entry["columns"], entry["row_count"]) for entry in firm.record] == [
        ("allow", ["count", "name"], rows) for rows in sizes
    ]
    assert {entry["version"] for entry in firm.record} == {firm.lake.version(DATASET)}


def test_pages_of_an_earlier_version_and_of_all_days(firm: Firm) -> None:
    before = firm.lake.version(DATASET)
    fill(firm.lake, [ROW], {"c1": "g1"})
    assert sum(page.rows.num_rows for page in pages(firm, BY_COUNT, version=before)) == 9
    page = firm.door.page(WHO, DATASET, PageQuestion())
    assert (page.rows.num_rows, page.next) == (1, None)
    assert page.snapshot_id.startswith(f"{DATASET}/all/")


def test_a_table_or_day_that_was_never_written_has_one_empty_page(tmp_path: Path) -> None:
    with opened(tmp_path / "firm") as firm:
        page = firm.door.page(WHO, DATASET, BY_COUNT, DAY)
    assert (page.rows.num_rows, page.next, page.version) == (0, None, None)
    assert page.rows.column_names == ["count", "name"]


def test_days_of_which_there_is_nothing_leave_one_file_together(firm: Firm) -> None:
    made = len(list(firm.snapshots.rglob("*.parquet")))
    for number in range(1, 6):
        for version in (None, 0):
            page = firm.door.page(WHO, DATASET, BY_COUNT, date(1999, 1, number), version)
            assert (page.rows.num_rows, page.next) == (0, None)
    # At most one for each version.
    assert len(list(firm.snapshots.rglob("*.parquet"))) <= made + 2


def cursor_of(firm: Firm, asked: PageQuestion = BY_COUNT) -> str:
    cursor = firm.door.page(WHO, DATASET, asked, DAY).next
    assert cursor is not None
    return cursor


def encoded(content: object, text: str | None = None) -> str:
    text = json.dumps(content, separators=(",", ":")) if text is None else text
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decoded(cursor: str) -> list[Any]:
    from base64 import urlsafe_b64decode

    content: list[Any] = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return content


def test_a_cursor_holds_no_value_of_a_row(firm: Firm) -> None:
    fill(firm.lake, [ROW | {"alias": f"secret {number}", "count": 777_000 + number} for number in range(9)], {})
    _, _, version, name, row = decoded(cursor_of(firm, replace(BY_COUNT, order=(Order("alias"),))))
    assert version == firm.lake.version(DATASET)
    assert (len(name), row) == (32, 3)


def test_what_is_no_cursor_of_the_question_is_refused(firm: Firm) -> None:
    good = cursor_of(firm)
    kind, question, version, name, row = decoded(good)
    forged: list[str] = ["", "x", good + "=", good + "A", good[:-1], " " + good, good * 9, "A" * 300, "é", "\x00"]
    forged += [
        encoded(content)
        for content in (
            None,
            [],
            {},
            [kind, question, version, name],
            [kind, question, version, name, row, 1],
            [2, question, version, name, row],
            [True, question, version, name, row],
            [kind, question[::-1], version, name, row],
            [kind, question, str(version), name, row],
            [kind, question, float(version), name, row],
            [kind, question, version, None, row],
            [kind, question, version, "../../../../etc/passwd", row],
            [kind, question, version, name.upper(), row],
            [kind, question, version, name, True],
            [kind, question, version, name, -1],
            [kind, question, version, name, 9],
            [kind, question, version, name, 2**63],
            [kind, question, version, name, 10**80],
            [kind, question, -1, name, row],
            [kind, question, 2**70, name, row],
        )
    ]
    forged += [encoded(None, text) for text in ("[" * 150, f'[{kind},"{question}",{version},"{name}", {row}]', "[NaN]")]
    for cursor in forged:
        with pytest.raises(QueryError, match="no cursor of this question"):
            firm.door.page(WHO, DATASET, replace(BY_COUNT, cursor=cursor), DAY)
    assert firm.door.page(WHO, DATASET, replace(BY_COUNT, cursor=good, size=9), DAY).rows.num_rows == 5


@pytest.mark.parametrize(
    "other",
    [
        replace(BY_COUNT, order=(Order("count"),)),
        replace(BY_COUNT, order=()),
        replace(BY_COUNT, columns=("count",)),
        replace(BY_COUNT, conditions=(Condition("count", ">", 0),)),
    ],
)
def test_a_cursor_of_another_question_is_refused(firm: Firm, other: PageQuestion) -> None:
    with pytest.raises(QueryError, match="no cursor of this question"):
        firm.door.page(WHO, DATASET, replace(other, cursor=cursor_of(firm)), DAY)
    with pytest.raises(QueryError, match="no cursor of this question"):
        firm.door.page(WHO, DATASET, replace(BY_COUNT, cursor=cursor_of(firm)), None)
    with pytest.raises(QueryError, match="no cursor of this question"):
        firm.door.page(WHO, DATASET, replace(BY_COUNT, cursor=cursor_of(firm)), DAY, version=0)


def test_a_cursor_into_what_is_not_seen_any_more_has_expired_and_makes_nothing(firm: Firm) -> None:
    cursor = replace(BY_COUNT, cursor=cursor_of(firm))
    made = sorted(firm.snapshots.rglob("*.parquet"))
    kind, question, version, name, row = decoded(cursor.cursor or "")
    stale = [
        [kind, question, version, "0" * 32, row],
        [kind, question, version - 1, name, row],
        [kind, question, version + 7, name, row],
    ]
    for content in stale:
        with pytest.raises(CursorExpiredError):
            firm.door.page(WHO, DATASET, replace(BY_COUNT, cursor=encoded(content)), DAY)
    # Somebody else's cursor opens nothing of theirs.
    other = replace(WHO, systems=frozenset({"s2"}))
    with pytest.raises(CursorExpiredError):
        firm.door.page(other, DATASET, cursor, DAY)
    assert sorted(firm.snapshots.rglob("*.parquet")) == made
    assert firm.record[-1]["reason"].endswith("nothing left: CursorExpiredError")


def test_when_rules_or_the_cmdb_change_a_cursor_has_expired(tmp_path: Path) -> None:
    through = replace(RULES, system="", group="through")
    who = principal(replace(ASKER, groups=frozenset({"g1"})))
    with opened(tmp_path / "firm", through) as firm:
        fill(firm.lake, [ROW | {"count": number} for number in range(9)], {"c1": "g1"})
        page = firm.door.page(who, DATASET, BY_COUNT, DAY)
        going_on = replace(BY_COUNT, cursor=page.next)
        assert firm.door.page(who, DATASET, going_on, DAY).rows.num_rows == 4
        firm.door = firm.door_by(decision_point(replace(through, roles={"steward": 3})))
        with pytest.raises(CursorExpiredError):
            firm.door.page(who, DATASET, going_on, DAY)
        firm.door = firm.door_by(decision_point(through))
        assert firm.door.page(who, DATASET, going_on, DAY).rows.num_rows == 4
        firm.lake.replace(CIS, DAY, firm.rows_of(CIS).slice(0, 0))
        with pytest.raises(CursorExpiredError):
            firm.door.page(who, DATASET, going_on, DAY)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (PageQuestion(size=0), "a page has 1 to 10,000 rows"),
        (PageQuestion(size=10_001), "a page has 1 to 10,000 rows"),
        (PageQuestion(size=True), "a page has 1 to 10,000 rows"),
        (PageQuestion(("gone",)), "has no column 'gone'"),
        (PageQuestion(("value",)), "has no column 'value'"),
        (PageQuestion(order=(Order("value"),)), "has no column 'value'"),
        (PageQuestion(order=(Order("gone"),)), "has no column 'gone'"),
        (PageQuestion(order=(Order("count"), Order("count", True))), "order by each column once"),
        (PageQuestion(("count", "count")), "for each column once"),
        (PageQuestion(conditions=(Condition("value", ">", 1.0),)), "has no column 'value'"),
        (PageQuestion(conditions=(Condition("count", ">", "1"),)), "count is BIGINT"),
    ],
)
def test_a_page_that_cannot_be_asked_for_costs_nothing(firm: Firm, asked: PageQuestion, problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        firm.door.page(WHO, DATASET, asked, DAY)
    assert not firm.snapshots.exists()
    assert [(entry["decision"], entry["row_count"]) for entry in firm.record] == [("allow", 0)]


def test_those_who_come_together_are_given_the_same_page_of_one_snapshot(firm: Firm) -> None:
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: firm.door.page(WHO, DATASET, BY_COUNT, DAY), range(24)))
    assert all(page == replace(given[0], rows=page.rows) and page.rows.equals(given[0].rows) for page in given)
    assert len(list(firm.snapshots.rglob("*.p*"))) == 1
    assert [entry["row_count"] for entry in firm.record] == [4] * 24


def test_a_snapshot_that_was_pruned_is_made_again_for_a_cursor(firm: Firm) -> None:
    page = firm.door.page(WHO, DATASET, BY_COUNT, DAY)
    (path,) = firm.snapshots.rglob("*.parquet")
    path.unlink()
    assert firm.door.page(WHO, DATASET, replace(BY_COUNT, cursor=page.next), DAY).snapshot_id == page.snapshot_id
    assert path.exists()


def test_large_pages_of_many_row_groups(tmp_path: Path) -> None:
    with opened(tmp_path / "firm", OPEN) as firm, firm.lake.connect() as con:
        fill(firm.lake, [ROW], {})
        columns = ", ".join(f"NULL::{sql_type} AS {name}" for name, sql_type in TYPES.items())
        rows = con.sql(
            f"SELECT * REPLACE (DATE '{DAY}' AS day, 's1' AS system, i % 7 AS count, md5(i::VARCHAR) AS name) "
            f"FROM range(300000) numbers(i), (SELECT {columns.replace('AS count', 'AS count')})"
        ).select(*TYPES)
        firm.lake.replace(DATASET, DAY, rows)
        for order, number in (((), 31), ((Order("count"),), 31)):
            asked = PageQuestion(("count", "name"), order=order, size=10_000)
            seen = [row for page in pages(firm, asked) for row in page.rows.to_pylist()]
            assert len({row["name"] for row in seen}) == len(seen) == 300_000
            if order:
                assert [row["count"] for row in seen] == sorted(row["count"] for row in seen)
            assert len(firm.record) >= number - 1
