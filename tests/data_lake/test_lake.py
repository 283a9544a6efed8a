"""The lake replaces exactly the slice that is named and takes rows of exactly the contract."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.schema_evolution import SchemaMismatchError
from omgov_assets.data_lake.schemas import UnknownTableError
from omgov_assets.data_lake.sql import OneOf

CONTRACTS = Path(__file__).parents[2] / "governance" / "standard" / "data_contracts"
TABLE = "quality/check_results"
DAY = date(2026, 11, 20)
NEXT_DAY = DAY + timedelta(days=1)
ODD = 'it\'s; DROP TABLE x -- "q" %20/é中[1]*\\'


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", CONTRACTS)


def rows_of(lake: Lake, *rows: dict[str, Any]) -> pa.Table:
    """Rows of the table; columns that are not given have a value of their type."""
    schema = lake.schema(TABLE).arrow
    values = {pa.string(): "x", pa.int64(): 1, pa.date32(): DAY}
    sound = {field.name: values[field.type] for field in schema}
    return pa.Table.from_pylist([{**sound, **row} for row in rows], schema=schema)


def read(lake: Lake, columns: str = "day, system, policy_id", day: date | None = None) -> list[tuple[Any, ...]]:
    with lake.connect() as con:
        lake.register(con, "quality.found", TABLE, day)
        return con.execute(f"SELECT {columns} FROM quality.found ORDER BY ALL").fetchall()


def fill(lake: Lake) -> None:
    """Two days, two systems, two policies."""
    for day in (DAY, NEXT_DAY):
        rows = [{"day": day, "system": s, "policy_id": p} for s in ("a", "b") for p in ("p", "q")]
        lake.replace(TABLE, day, rows_of(lake, *rows))


ALL = {(day, system, policy) for day in (DAY, NEXT_DAY) for system in ("a", "b") for policy in ("p", "q")}


@pytest.mark.parametrize(
    ("where", "gone"),
    [
        (None, {(DAY, s, p) for s in ("a", "b") for p in ("p", "q")}),
        ({"system": "a"}, {(DAY, "a", "p"), (DAY, "a", "q")}),
        ({"system": "a", "policy_id": "p"}, {(DAY, "a", "p")}),
        ({"policy_id": OneOf(("p", "z"))}, {(DAY, "a", "p"), (DAY, "b", "p")}),
        ({"policy_id": OneOf(("p",), negated=True)}, {(DAY, "a", "q"), (DAY, "b", "q")}),
        ({"policy_id": OneOf(())}, set()),
        ({"system": "b", "policy_id": OneOf((), negated=True)}, {(DAY, "b", "p"), (DAY, "b", "q")}),
        ({"system": "z"}, set()),
    ],
)
def test_a_write_replaces_exactly_the_slice_that_it_names(lake: Lake, where: Any, gone: set[Any]) -> None:
    fill(lake)
    lake.replace(TABLE, DAY, rows_of(lake), where=where)
    assert set(read(lake)) == ALL - gone
    assert read(lake, day=NEXT_DAY) == sorted(row for row in ALL if row[0] == NEXT_DAY)


def test_a_write_again_changes_nothing(lake: Lake) -> None:
    rows = rows_of(lake, {"system": "a"}, {"system": "b"})
    lake.replace(TABLE, DAY, rows)
    before = read(lake, "*")
    assert lake.replace(TABLE, DAY, rows) == 2
    assert read(lake, "*") == before


def test_rows_outside_the_slice_are_refused(lake: Lake) -> None:
    fill(lake)
    for where, row in (
        ({"system": "a"}, {"system": "b"}),
        ({"policy_id": OneOf(("p",))}, {"policy_id": "q"}),
        (None, {"day": NEXT_DAY}),
    ):
        with pytest.raises(DeltaError):
            lake.replace(TABLE, DAY, rows_of(lake, row), where=where)
    assert set(read(lake)) == ALL


def test_the_order_of_columns_does_not_count(lake: Lake) -> None:
    rows = rows_of(lake, {"system": "a"})
    lake.replace(TABLE, DAY, rows.select(rows.column_names[::-1]))
    assert read(lake) == [(DAY, "a", "x")]


@pytest.mark.parametrize("as_relation", [False, True], ids=["arrow", "relation"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop_columns(["verdict"]), r"missing columns \['verdict'\]"),
        (lambda t: t.append_column("extra", pa.array([1])), r"unexpected columns \['extra'\]"),
        (lambda t: retyped(t, "failed", pa.array([1], pa.int32())), "failed: type int32 .* says int64"),
        (lambda t: retyped(t, "failed", pa.array([1.0])), "failed: type double .* says int64"),
        (lambda t: retyped(t, "failed", pa.array(["1"])), "failed: type string .* says int64"),
        (lambda t: retyped(t, "verdict", pa.array([1])), "verdict: type int64 .* says string"),
        (
            lambda t: retyped(t, "day", pa.array([1], pa.timestamp("us"))),
            r"day: type timestamp\[us\] .* says date32",
        ),
    ],
)
def test_other_columns_or_types_than_the_contracts_are_refused(
    lake: Lake, change: Any, message: str, as_relation: bool
) -> None:
    lake.replace(TABLE, DAY, rows_of(lake, {"system": "before"}))
    rows = change(rows_of(lake, {"system": "a"}))
    with lake.connect() as con, pytest.raises(SchemaMismatchError, match=message):
        lake.replace(TABLE, DAY, con.from_arrow(rows) if as_relation else rows)
    assert read(lake, "system") == [("before",)]


def retyped(table: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.schema.get_field_index(column), column, values)


@pytest.mark.parametrize("as_relation", [False, True], ids=["arrow", "relation"])
def test_a_null_in_a_required_column_is_refused(lake: Lake, as_relation: bool) -> None:
    lake.replace(TABLE, DAY, rows_of(lake, {"system": "before"}))
    rows = rows_of(lake, {"verdict": None})
    with lake.connect() as con, pytest.raises(DeltaError, match=r"verdict.*non-nullable"):
        lake.replace(TABLE, DAY, con.from_arrow(rows) if as_relation else rows)
    assert read(lake, "system") == [("before",)]


def test_delta_by_itself_would_cast(tmp_path: Path) -> None:
    """Characterisation: why the lake compares types itself."""
    write_deltalake(str(tmp_path / "t"), pa.table({"n": pa.array([1], pa.int64())}))
    write_deltalake(str(tmp_path / "t"), pa.table({"n": pa.array([1.7])}), mode="append")
    assert sorted(DeltaTable(str(tmp_path / "t")).to_pyarrow_table()["n"].to_pylist()) == [1, 1]


def test_a_table_or_day_that_is_absent_is_an_empty_view_of_the_right_columns(lake: Lake) -> None:
    expected = [(column.name, column.sql_type) for column in lake.schema(TABLE).columns]
    with lake.connect() as con:
        assert lake.register(con, "quality.found", TABLE, DAY) is None
        assert [row[:2] for row in con.execute("DESCRIBE quality.found").fetchall()] == expected
        assert con.execute("FROM quality.found").fetchall() == []
        lake.replace(TABLE, NEXT_DAY, rows_of(lake, {"day": NEXT_DAY}))
        assert lake.register(con, "quality.found", TABLE, DAY) == 1
        assert [row[:2] for row in con.execute("DESCRIBE quality.found").fetchall()] == expected
        assert con.execute("FROM quality.found").fetchall() == []
    assert (lake.has_day(TABLE, DAY), lake.has_day(TABLE, NEXT_DAY)) == (False, True)
    assert lake.previous_day(TABLE, NEXT_DAY) is None


def test_a_view_stays_at_the_version_it_was_made_of(lake: Lake) -> None:
    lake.replace(TABLE, DAY, rows_of(lake, {"system": "a"}))
    with lake.connect() as con:
        version = lake.register(con, "found", TABLE, DAY)
        assert lake.replace(TABLE, DAY, rows_of(lake, {"system": "b"})) == version + 1
        assert con.execute("SELECT system FROM found").fetchall() == [("a",)]
        assert lake.register(con, "found", TABLE, DAY) == version + 1
        assert con.execute("SELECT system FROM found").fetchall() == [("b",)]


def test_the_previous_day_is_the_latest_before(lake: Lake) -> None:
    days = [DAY - timedelta(days=n) for n in (9, 3, 0)]
    for day in days:
        lake.replace(TABLE, day, rows_of(lake, {"day": day}))
    assert lake.days(TABLE) == sorted(days)
    assert lake.previous_day(TABLE, DAY) == DAY - timedelta(days=3)
    lake.replace(TABLE, DAY - timedelta(days=3), rows_of(lake))
    assert lake.previous_day(TABLE, DAY) == DAY - timedelta(days=9)


def test_a_fingerprint_is_committed_with_the_rows(lake: Lake) -> None:
    assert lake.transaction(TABLE, "batch") is None
    lake.replace(TABLE, DAY, rows_of(lake), transactions={"batch": 2**59, ODD: 7})
    assert (lake.transaction(TABLE, "batch"), lake.transaction(TABLE, ODD)) == (2**59, 7)
    lake.replace(TABLE, DAY, rows_of(lake), transactions={"batch": 0})
    assert (lake.transaction(TABLE, "batch"), lake.transaction(TABLE, ODD)) == (0, 7)


def test_a_refused_write_commits_no_fingerprint(lake: Lake) -> None:
    lake.replace(TABLE, DAY, rows_of(lake))
    with pytest.raises(DeltaError):
        lake.replace(TABLE, DAY, rows_of(lake, {"verdict": None}), transactions={"batch": 1})
    assert lake.transaction(TABLE, "batch") is None


def test_values_of_any_characters_are_quoted(lake: Lake) -> None:
    lake.replace(
        TABLE,
        DAY,
        rows_of(lake, {"system": ODD, "policy_id": ODD}, {"system": "b", "policy_id": "x' OR '1'='1"}),
    )
    assert read(lake) == [(DAY, "b", "x' OR '1'='1"), (DAY, ODD, ODD)]
    lake.replace(TABLE, DAY, rows_of(lake), where={"policy_id": "x' OR '1'='1"})
    assert read(lake) == [(DAY, ODD, ODD)]
    again = rows_of(lake, {"system": ODD, "policy_id": ODD, "verdict": "again"})
    lake.replace(TABLE, DAY, again, where={"system": ODD, "policy_id": OneOf((ODD, "other"))})
    assert read(lake, "system, policy_id, verdict") == [(ODD, ODD, "again")]


@pytest.mark.parametrize("folder", ["with space", "目录", "it's", "a#b", "a?b", "a+b&c"])
def test_the_lake_may_lie_in_a_folder_of_any_name(tmp_path: Path, folder: str) -> None:
    lake = Lake(tmp_path / folder / "lake", CONTRACTS)
    lake.replace(TABLE, DAY, rows_of(lake, {"system": "a"}))
    assert read(lake, "system") == [("a",)]
    assert all(path.is_file() for path in lake.files(TABLE))


def test_a_table_without_a_contract_is_unknown(lake: Lake) -> None:
    with pytest.raises(UnknownTableError, match=r"'a/unheard_of': expected .*unheard_of\.odcs\.yaml"):
        lake.schema("a/unheard_of")


def test_a_connection_counts_in_utc_and_spills_beside_the_lake(lake: Lake) -> None:
    with lake.connect() as con:
        assert one_row(con, "SELECT current_setting('TimeZone'), current_setting('temp_directory')") == (
            "UTC",
            str(lake.root.parent / "tmp"),
        )
    with pytest.raises(duckdb.ConnectionException):
        con.execute("SELECT 1")


def _write_system(root: Path, system: str, times: int) -> None:
    lake = Lake(root, CONTRACTS)
    for number in range(times):
        rows = rows_of(lake, *({"system": system, "policy_id": f"{n}"} for n in range(number + 1)))
        lake.replace(TABLE, DAY, rows, where={"system": system})


def test_two_processes_that_write_one_table_at_once_both_land(lake: Lake) -> None:
    context = multiprocessing.get_context("forkserver")
    writers = [context.Process(target=_write_system, args=(lake.root, system, 6)) for system in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert lake.version(TABLE) == 12
    assert read(lake, "system, policy_id") == [(system, f"{n}") for system in ("a", "b") for n in range(6)]


def test_a_reader_sees_what_another_process_wrote(lake: Lake) -> None:
    lake.replace(TABLE, DAY, rows_of(lake, {"system": "z"}))
    assert read(lake, "system") == [("z",)]
    writer = multiprocessing.get_context("forkserver").Process(target=_write_system, args=(lake.root, "a", 1))
    writer.start()
    writer.join(60)
    assert read(lake, "system") == [("a",), ("z",)]


EVENTS = "exceptions/case_events"


def events_of(lake: Lake, day: date, *event_ids: str) -> pa.Table:
    row = {"day": day, "case_id": "c", "kind": "commented", "acted_by": "x", "payload": "{}"}
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    rows = [row | {"event_id": name, "seq": seq, "happened_at": moment} for seq, name in enumerate(event_ids, 1)]
    return pa.Table.from_pylist(rows, schema=lake.schema(EVENTS).arrow)


def test_rows_are_appended_beside_those_that_a_day_holds_from_arrow_and_from_duckdb(lake: Lake) -> None:
    lake.append(EVENTS, DAY, events_of(lake, DAY, "a", "b"))
    with lake.connect() as con:
        con.register("more", events_of(lake, DAY, "c"))
        lake.append(EVENTS, DAY, con.sql("SELECT * REPLACE (DATE '2026-11-20' AS day) FROM more"))
        con.register("later", events_of(lake, NEXT_DAY, "d"))
        lake.append(EVENTS, NEXT_DAY, con.table("later"))
        lake.register(con, "found", EVENTS, None)
        assert con.execute("SELECT day, event_id FROM found ORDER BY event_id").fetchall() == [
            (DAY, "a"), (DAY, "b"), (DAY, "c"), (NEXT_DAY, "d"),
        ]  # fmt: skip


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x1c"])
def test_a_value_with_a_character_that_ends_lines_of_text_is_written_as_any_other(lake: Lake, character: str) -> None:
    lake.append(EVENTS, DAY, events_of(lake, DAY, f"a{character}b"))
    with lake.connect() as con:
        lake.register(con, "found", EVENTS, None)
        assert con.execute("SELECT event_id FROM found").fetchall() == [(f"a{character}b",)]


def test_of_an_append_only_table_no_row_is_replaced_or_deleted(lake: Lake) -> None:
    lake.append(EVENTS, DAY, events_of(lake, DAY, "a"))
    with pytest.raises(DeltaError, match="append"):
        lake.replace(EVENTS, DAY, events_of(lake, DAY, "b"))
    with pytest.raises(DeltaError, match="append"):
        DeltaTable(lake.root / EVENTS).delete()


def test_appended_rows_have_exactly_the_columns_of_the_contract(lake: Lake) -> None:
    with pytest.raises(SchemaMismatchError, match=r"missing columns \['payload'\]"):
        lake.append(EVENTS, DAY, events_of(lake, DAY, "a").drop_columns(["payload"]))
