"""SQL reads a time as Python's ``strptime`` does, or leaves the format to pandas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from omgov_assets.quality_policy.duckdb_engine_for_gx import execution_engine
from omgov_assets.quality_policy.strptime_in_sql import is_said_in_sql, matches_strftime_format

FORMATS = [
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%d/%m/%y",
    "%d.%m",
    "%Y年%m月%d日 %H时%M分",
    "%H%M%S",
    "%d%H",
    "%m",
    "%y%m%d",
    "100%% %Y",
    "[%Y] (%m) {%d} ^$.*+?|\\",
    "%S  %M",
]
PIECES = [
    *"0123456789-/:.TtZz \t\n\u3000٣年月日", "00", "02", "12", "29", "30", "31", "60", "61", "99", "1900", "2000",
    "2023", "2024", "0000", "２０２４", "+08:00", "+0800", "+24:00", "-23:59:59.1", "+08:0000", "100% ", "[", "] (",
    ") {", "} ^$.*+?|\\",
]  # fmt: skip


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        yield opened


def python_reads(text: str, strftime_format: str) -> bool:
    try:
        datetime.strptime(text, strftime_format)
    except ValueError:
        return False
    return True


def sql_reads(con: duckdb.DuckDBPyConnection, texts: list[str], strftime_format: str) -> list[bool]:
    con.register("texts", pa.table({"text": pa.array(texts, pa.string())}))
    con.execute("CREATE OR REPLACE TABLE checked AS SELECT * FROM texts")
    with execution_engine(con, "checked") as engine:
        condition = engine.sql_of(matches_strftime_format(sqlalchemy.column("text"), strftime_format))
    return [row[0] for row in con.execute(f"SELECT {condition} FROM checked").fetchall()]


@pytest.mark.parametrize("strftime_format", FORMATS)
@given(
    moments=st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), max_size=10),
    pieces=st.lists(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), max_size=40),
    changes=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", *PIECES])), min_size=10, max_size=10),
)
@settings(max_examples=12, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(moments=[], pieces=["", "2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "0000-01-01"], changes=[])
@example(
    moments=[], pieces=["29.02", "28.2", "31.4", "30.4", " 1.2", "29/02/00", "31/9/99", "60  5", "59 5"], changes=[]
)
def test_sql_reads_what_python_reads(
    con: duckdb.DuckDBPyConnection,
    strftime_format: str,
    moments: list[datetime],
    pieces: list[str],
    changes: list[tuple[int, str]],
) -> None:
    written = [moment.strftime(strftime_format.replace("%z", "+08:00")) for moment in moments]
    changed = [
        text[:position] + piece + text[position + 1 :]
        for text, (position, piece) in zip(written, changes, strict=False)
    ]
    texts = [*written, *changed, *pieces]
    found = sql_reads(con, texts, strftime_format)
    assert dict(zip(texts, found, strict=True)) == {text: python_reads(text, strftime_format) for text in texts}


@pytest.mark.parametrize(
    "strftime_format", ["%b %Y", "%A", "%p", "%j", "%U", "%Z", "%Y %Y", "%Y%y", "%", "at %H", 7, None]
)
def test_other_formats_are_left_to_pandas(strftime_format: object) -> None:
    assert not is_said_in_sql(strftime_format)
