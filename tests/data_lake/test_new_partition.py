"""The first rows of a partition are written by DuckDB and committed by delta-rs: as strictly as all others."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.new_partition import NullInRequiredColumnError, RowCountError

TABLE = "control/baseline_metrics"
DAY, OTHER = date(2026, 11, 20), date(2026, 11, 21)
ROWS = (
    "SELECT DATE '{day}' AS day, 'host' AS ci_class, i::BIGINT AS tier, 'm' || i AS metric, 'd' AS document, "
    "NULL::VARCHAR AS author, 'h' AS content_hash FROM range({rows}) AS t(i)"
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def rows_of(con: duckdb.DuckDBPyConnection, count: int, day: date = DAY, /, **changes: str) -> duckdb.DuckDBPyRelation:
    """Rows of the table; ``changes`` are SQL by column."""
    replaced = ", ".join(f"{value} AS {name}" for name, value in changes.items())
    query = ROWS.format(day=day, rows=count)
    return con.sql(f"SELECT * {f'REPLACE ({replaced})' if replaced else ''} FROM ({query})")


def held(lake: Lake, day: date | None = None) -> list[tuple[Any, ...]]:
    with lake.connect() as con:
        lake.register(con, "held", TABLE, day)
        return con.execute("SELECT day, tier, metric FROM held ORDER BY ALL").fetchall()


def numbers(lake: Lake) -> list[Any]:
    """Rows that each file says it holds; delta-rs says more of its own files than that."""
    return sorted(DeltaTable(lake.root / TABLE).get_add_actions(flatten=True)["num_records"].to_pylist())


def test_new_partitions_stand_beside_each_other_and_are_replaced_like_any_other(lake: Lake) -> None:
    with lake.connect() as con:
        lake.replace(TABLE, DAY, rows_of(con, 3))
        lake.replace(TABLE, OTHER, rows_of(con, 2, OTHER))
        assert numbers(lake) == [2, 3]
        # A part of a partition, then a partition as a whole, by delta-rs.
        lake.replace(TABLE, DAY, rows_of(con, 1, tier="9::BIGINT"), where={"metric": "m0"})
        assert held(lake, DAY) == [(DAY, 1, "m1"), (DAY, 2, "m2"), (DAY, 9, "m0")]
        lake.replace(TABLE, OTHER, rows_of(con, 1, OTHER))
    assert held(lake, OTHER) == [(OTHER, 0, "m0")]
    assert lake.days(TABLE) == [DAY, OTHER]


def test_delta_reads_what_duckdb_wrote(lake: Lake) -> None:
    with lake.connect() as con:
        lake.replace(TABLE, DAY, rows_of(con, 1000))
    table = DeltaTable(lake.root / TABLE).to_pyarrow_table()
    assert table.num_rows == 1000
    assert set(table["day"].to_pylist()) == {DAY}
    assert table.schema.field("metric").type == lake.schema(TABLE).arrow.field("metric").type


def test_a_transaction_is_committed_with_the_rows(lake: Lake) -> None:
    with lake.connect() as con:
        lake.replace(TABLE, DAY, rows_of(con, 2), transactions={"key": 7})
    assert lake.transaction(TABLE, "key") == 7


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"metric": "if(tier = 1, NULL, metric)"}, NullInRequiredColumnError, "metric is null in some row"),
        ({"day": f"DATE '{OTHER}'"}, duckdb.Error, "a row is of another partition"),
        ({"day": f"if(tier = 1, DATE '{OTHER}', day)"}, duckdb.Error, "a row is of another partition"),
        ({"document": "if(tier = 2, error('broken'), document)"}, duckdb.Error, "broken"),
    ],
)
def test_what_must_not_be_written_is_not_and_leaves_nothing_behind(
    lake: Lake, changes: dict[str, str], error: type[Exception], words: str
) -> None:
    with lake.connect() as con, pytest.raises(error, match=words):
        lake.replace(TABLE, DAY, rows_of(con, 3, **changes))
    assert lake.days(TABLE) == []
    with lake.connect() as con:
        lake.replace(TABLE, DAY, rows_of(con, 3))
    assert len(held(lake)) == 3


@pytest.mark.parametrize("before", [0, 2], ids=["new partition", "replaced partition"])
def test_another_number_of_rows_than_expected_is_not_committed(lake: Lake, before: int) -> None:
    with lake.connect() as con:
        if before:
            lake.replace(TABLE, DAY, rows_of(con, before))
        for expected in (2, 4):
            with pytest.raises(Exception, match=f"3 rows where {expected} were expected") as caught:
                lake.replace(TABLE, DAY, rows_of(con, 3), expected_rows=expected)
            assert before or caught.type is RowCountError
        assert len(held(lake)) == before
        lake.replace(TABLE, DAY, rows_of(con, 3), expected_rows=3)
    assert len(held(lake)) == 3


def test_no_rows_leave_a_day_without_a_partition(lake: Lake) -> None:
    with lake.connect() as con:
        lake.replace(TABLE, DAY, rows_of(con, 0), expected_rows=0)
    assert (lake.days(TABLE), held(lake)) == ([], [])
