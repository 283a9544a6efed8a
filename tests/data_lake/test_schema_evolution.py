"""A table follows its contract where no day written before would come to mean something else."""

from __future__ import annotations

import json
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schema_evolution import SchemaMismatchError

TABLE = "firm/readings"
DAY = date(2026, 11, 20)
DAYS = [DAY + timedelta(days=n) for n in range(10)]

Column = dict[str, Any]


def column(name: str, sql_type: str = "VARCHAR", **more: Any) -> Column:
    return {"name": name, "physicalType": sql_type, **more}


BASE = [column("day", "DATE", required=True), column("name", required=True), column("value", "DOUBLE")]
COMMENT = column("comment")


class Readings:
    """A table, and the contract that it is read and written by."""

    def __init__(self, folder: Path) -> None:
        self.contracts = folder / "contracts"
        self.contracts.mkdir()
        self.lake = Lake(folder / "lake", self.contracts)
        self.agree(BASE)

    @property
    def path(self) -> Path:
        return self.lake.root / TABLE

    def agree(self, columns: list[Column]) -> None:
        """Write the contract."""
        (self.contracts / "readings.odcs.yaml").write_text(
            yaml.safe_dump({"schema": [{"name": "readings", "properties": columns}]})
        )

    def write(self, day: date, **values: Any) -> int:
        """Replace a day by one row; a column without a value is null."""
        schema = self.lake.schema(TABLE).arrow
        return self.lake.replace(TABLE, day, pa.Table.from_pylist([row(day, **values)], schema=schema))

    def read(self, day: date | None = None) -> list[dict[str, Any]]:
        """Rows of a day, or of all."""
        with self.lake.connect() as con:
            self.lake.register(con, "readings", TABLE, day)
            return con.sql("FROM readings ORDER BY day").to_arrow_table().to_pylist()


@pytest.fixture
def readings(tmp_path: Path) -> Readings:
    return Readings(tmp_path)


def row(day: date, **values: Any) -> dict[str, Any]:
    return {"day": day, "name": "a", "value": None, **values}


@pytest.mark.parametrize("position", [1, 2, 3])
def test_an_optional_column_that_comes_is_null_in_the_days_before(readings: Readings, position: int) -> None:
    readings.write(DAYS[0], value=1.5)
    readings.agree([*BASE[:position], COMMENT, *BASE[position:]])
    assert readings.read() == [row(DAYS[0], value=1.5, comment=None)]
    readings.write(DAYS[1], value=2.5, comment="new")
    assert readings.read() == [row(DAYS[0], value=1.5, comment=None), row(DAYS[1], value=2.5, comment="new")]
    assert readings.read(DAYS[0]) == [row(DAYS[0], value=1.5, comment=None)]
    assert readings.read(DAYS[1]) == [row(DAYS[1], value=2.5, comment="new")]
    assert readings.read(DAYS[2]) == []
    readings.write(DAYS[0], value=3.5, comment="late")
    assert [found["comment"] for found in readings.read()] == ["late", "new"]


@pytest.mark.parametrize("sql_type", ["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMPTZ", "VARCHAR[]"])
def test_a_column_of_any_type_may_come(readings: Readings, sql_type: str) -> None:
    values = {"BIGINT": 7, "DOUBLE": 0.5, "BOOLEAN": True, "DATE": DAY, "VARCHAR[]": ["a", "b"]}
    readings.write(DAYS[0])
    readings.agree([*BASE, column("extra", sql_type)])
    readings.write(DAYS[1], extra=values.get(sql_type))
    assert [found["extra"] for found in readings.read()] == [None, values.get(sql_type)]
    with readings.lake.connect() as con:
        readings.lake.register(con, "readings", TABLE, DAYS[0])
        described = {name: found for name, found, *_ in con.execute("DESCRIBE readings").fetchall()}
    assert described["extra"] == sql_type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")


def test_an_optional_column_that_left_stays_in_the_table_as_null(readings: Readings) -> None:
    readings.agree([*BASE, COMMENT])
    readings.write(DAYS[0], comment="old")
    readings.agree(BASE)
    readings.write(DAYS[1], value=1.0)
    assert readings.read() == [row(DAYS[0]), row(DAYS[1], value=1.0)]
    readings.agree([*BASE, COMMENT])
    assert [found["comment"] for found in readings.read()] == ["old", None]


def test_a_column_that_came_may_leave_and_come_again(readings: Readings) -> None:
    readings.write(DAYS[0])
    for day, columns, values in (
        (DAYS[1], [*BASE, COMMENT], {"comment": "first"}),
        (DAYS[2], BASE, {}),
        (DAYS[3], [*BASE, column("more", "BIGINT"), COMMENT], {"comment": "again", "more": 4}),
    ):
        readings.agree(columns)
        readings.write(day, **values)
    found = readings.read()
    assert [row["comment"] for row in found] == [None, "first", None, "again"]
    assert [row["more"] for row in found] == [None, None, None, 4]


def test_the_columns_of_a_contract_may_change_their_order(readings: Readings) -> None:
    readings.write(DAYS[0], value=1.0)
    readings.agree(BASE[::-1])
    readings.write(DAYS[1], value=2.0)
    assert readings.read() == [row(DAYS[0], value=1.0), row(DAYS[1], value=2.0)]


def test_a_required_column_may_become_optional(readings: Readings) -> None:
    readings.write(DAYS[0])
    readings.agree([BASE[0], column("name"), BASE[2]])
    readings.write(DAYS[1], name=None)
    assert [found["name"] for found in readings.read()] == ["a", None]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            [BASE[0], BASE[1], column("value", "BIGINT")],
            r"column value is DOUBLE in the table, but BIGINT in the contract; give the column that is BIGINT another",
        ),
        (
            [*BASE, column("unit", required=True)],
            "the contract requires column unit, which the table does not have; make unit optional",
        ),
        (
            [*BASE[:2], column("value", "DOUBLE", required=True)],
            "the contract requires column value, which may be null in the table; make value optional",
        ),
        (
            [BASE[0], BASE[2]],
            "the table requires column name, which the contract no longer has; put name back, optional if need be",
        ),
        (
            [BASE[0], column("name", required=True, partitioned=True), BASE[2]],
            r"the table is partitioned by \['day'\], but by \['name'\] in the contract; restore the contract",
        ),
    ],
)
def test_any_other_change_is_refused_and_says_what_to_do(
    readings: Readings, columns: list[Column], message: str
) -> None:
    readings.write(DAYS[0], value=1.0)
    readings.agree(columns)
    names = {entry["name"] for entry in columns} - {"day", "name", "value"}
    schema = readings.lake.schema(TABLE).arrow
    sound = {"day": DAYS[1], "name": "b", "value": 2, **dict.fromkeys(names, "x")}
    rows = pa.Table.from_pylist([{name: sound[name] for name in schema.names}], schema=schema)
    with pytest.raises(SchemaMismatchError, match=rf"firm/readings: {message}.*, or move the table away and run its"):
        readings.lake.replace(TABLE, DAYS[1], rows)
    readings.agree(BASE)
    assert readings.read() == [row(DAYS[0], value=1.0)]
    assert readings.lake.version(TABLE) == 1


@pytest.mark.parametrize("columns", [[*BASE[:2], column("value", "BIGINT")], [*BASE, column("unit", required=True)]])
def test_days_that_the_contract_cannot_read_are_refused_rather_than_cast(
    readings: Readings, columns: list[Column]
) -> None:
    readings.write(DAYS[0], value=1.7)
    readings.agree(columns)
    with pytest.raises(SchemaMismatchError, match="move the table away"):
        readings.read(DAYS[0])
    assert readings.read(DAYS[1]) == []


def test_rows_that_do_not_meet_the_new_contract_change_nothing(readings: Readings) -> None:
    readings.write(DAYS[0])
    readings.agree([*BASE, COMMENT])
    rows = pa.table({"day": [DAYS[1]], "name": ["b"], "value": [1.0]})
    with pytest.raises(SchemaMismatchError, match=r"missing columns \['comment'\]"):
        readings.lake.replace(TABLE, DAYS[1], rows)
    assert readings.lake.version(TABLE) == 1


def test_a_slice_of_a_day_and_a_relation_follow_the_contract_too(readings: Readings) -> None:
    readings.write(DAYS[0], value=1.0)
    readings.agree([BASE[0], COMMENT, *BASE[1:]])
    with readings.lake.connect() as con:
        rows = con.sql(f"SELECT 'b' AS name, DATE '{DAYS[0]}' AS day, 'x' AS comment, 2.0::DOUBLE AS value")
        readings.lake.replace(TABLE, DAYS[0], rows, where={"name": "b"}, transactions={"batch": 5})
    found = sorted(readings.read(DAYS[0]), key=lambda found: found["name"])
    assert [(found["name"], found["value"], found["comment"]) for found in found] == [("a", 1.0, None), ("b", 2.0, "x")]
    assert readings.lake.transaction(TABLE, "batch") == 5


def test_a_day_keeps_its_version_when_a_column_comes(readings: Readings) -> None:
    readings.write(DAYS[0])
    readings.agree([*BASE, COMMENT])
    readings.write(DAYS[1], comment="x")
    with readings.lake.connect() as con:
        assert readings.lake.register(con, "readings", TABLE, DAYS[0]) == 1
        assert readings.lake.register(con, "readings", TABLE, DAYS[1]) == 3


def test_a_table_that_never_changed_is_read_in_one_plain_scan(readings: Readings) -> None:
    readings.write(DAYS[0])
    assert "UNION" not in _view_text(readings)
    readings.agree([*BASE, COMMENT])
    assert "UNION" not in _view_text(readings)
    readings.write(DAYS[1])
    assert "UNION" in _view_text(readings)


def _view_text(readings: Readings) -> str:
    with readings.lake.connect() as con:
        readings.lake.register(con, "readings", TABLE, None)
        (text,) = con.execute("SELECT sql FROM duckdb_views() WHERE view_name = 'readings'").fetchall()[0]
    return str(text)


def test_delta_keeps_what_is_said_of_a_column(tmp_path: Path) -> None:
    """The lake tells later columns by the metadata of their fields, which a later write must not lose."""
    path = str(tmp_path / "t")
    write_deltalake(path, pa.table({"a": ["x"]}))
    table = DeltaTable(path)
    field = pa.field("b", pa.string(), metadata={"omgov.added": "true"})
    table.alter.add_columns(list(_delta_fields(field)))
    write_deltalake(table, pa.table({"a": ["y"], "b": ["z"]}), mode="append")
    schema = json.loads(DeltaTable(path).schema().to_json())
    assert [found["metadata"] for found in schema["fields"]] == [{}, {"omgov.added": "true"}]


def _delta_fields(field: pa.Field) -> Any:
    from deltalake import Schema

    return Schema.from_arrow(pa.schema([field])).fields


def test_duckdb_pushes_a_filter_below_the_union_with_no_rows(readings: Readings) -> None:
    """Otherwise days of a table that has gained a column would be read in full."""
    readings.write(DAYS[0], name="a")
    readings.agree([*BASE, COMMENT])
    readings.write(DAYS[1], name="c", comment="x")
    with readings.lake.connect() as con:
        readings.lake.register(con, "readings", TABLE, None)
        ((_, plan),) = con.execute("EXPLAIN SELECT count(*) FROM readings WHERE name = 'b'").fetchall()
    scan = plan[plan.index("READ_PARQUET") :]
    assert "name = 'b'" in scan


OPTIONAL = ["c1", "c2", "c3"]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(st.sampled_from(OPTIONAL), unique=True), min_size=1, max_size=6))
def test_whatever_comes_and_goes_each_day_reads_as_it_was_written(contracts: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        readings = Readings(Path(folder))
        written: list[dict[str, Any]] = []
        for day, names in zip(DAYS, contracts, strict=False):
            readings.agree([*BASE, *map(column, names)])
            values = {name: f"{name} of {day}" for name in names}
            readings.write(day, **values)
            written.append({"day": day, **values})
        for names in ([], OPTIONAL, contracts[-1], contracts[0]):
            readings.agree([*BASE, *map(column, names)])
            expected = [row(day["day"], **{name: day.get(name) for name in names}) for day in written]
            assert readings.read() == expected
            assert [found for day in written for found in readings.read(day["day"])] == expected


def test_a_file_without_a_column_is_an_error_of_duckdb_itself(readings: Readings) -> None:
    """Why a table that has gained a column is read in another way."""
    readings.write(DAYS[0])
    [file] = readings.lake.files(TABLE)
    with readings.lake.connect() as con, pytest.raises(duckdb.BinderException, match="comment"):
        con.execute(f"SELECT comment FROM read_parquet('{file}', union_by_name = true)")
