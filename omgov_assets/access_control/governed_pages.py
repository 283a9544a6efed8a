"""Pages of what a principal sees: rows in an order that is total, a page at a time, each where the last one ended.

Owns two rules. The order is that of the columns asked for, nulls last whichever way they run, and then that of the
snapshot, whose file never changes: no row comes twice or never, whatever is written meanwhile. And a cursor holds no
value of a row, only which row of which snapshot it was: it may stand in a log. Does not belong here: which rows and
columns there are (``decision``), handing them out (``enforcement``).
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import Condition, QueryError, asked_of
from omgov_assets.access_control.snapshot import Snapshot
from omgov_assets.data_lake.sql import identifier, literal

LARGEST_PAGE = 10_000
_MOST_ORDERS = 16
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_FORMAT = 1
_ROW = "file_row_number"
# How a value is asked for and given back, so that it is the same one: times may be beyond what Python knows.
_EXACT = {
    "VARCHAR": ("{}", "${}::VARCHAR"),
    "BIGINT": ("{}", "${}::BIGINT"),
    "DOUBLE": ("{}", "${}::DOUBLE"),
    "BOOLEAN": ("{}", "${}::BOOLEAN"),
    "DATE": ("{} - DATE '1970-01-01'", "(DATE '1970-01-01' + ${}::INTEGER)"),
    "TIMESTAMPTZ": ("epoch_us({})", "make_timestamptz(${}::BIGINT)"),
}


class CursorExpiredError(Exception):
    """The snapshot that a cursor goes on in is no longer what the principal sees; ask for the first page again."""


@dataclass(frozen=True)
class Order:
    """A column that rows are ordered by; nulls are last either way."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class PageQuestion:
    """A question whose answer comes in pages.

    Attributes:
        columns: columns asked for; all where None.
        conditions: that the rows must hold, all of them.
        order: what rows are ordered by; by the order of the snapshot where empty, and among equals.
        size: how many rows a page has at most, 1 to 10,000.
        cursor: ``Page.next`` of the page before; None for the first page.
    """

    columns: tuple[str, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    order: tuple[Order, ...] = ()
    size: int = 100
    cursor: str | None = None


@dataclass(frozen=True)
class Page:
    """Rows of a page.

    Attributes:
        rows: the columns asked for, in that order.
        next: cursor of the page after it; None on the last one.
        snapshot_id: the snapshot that they are of; see ``Snapshot.snapshot_id``.
        version: Delta version that was read; None where the table was never written.
    """

    rows: pa.Table
    next: str | None
    snapshot_id: str
    version: int | None


@dataclass(frozen=True)
class Whole:
    """All rows of an answer, which are read as they are taken.

    Attributes:
        rows: a relation with the columns asked for, in that order.
        count: how many rows it has.
        version: as of ``Page``.
    """

    rows: duckdb.DuckDBPyRelation
    count: int
    version: int | None


@dataclass(frozen=True)
class Place:
    """Where a page ended.

    Attributes:
        version: Delta version of the table.
        snapshot: name of the snapshot, the last part of its identifier.
        row: number of the row in it, from 0.
    """

    version: int
    snapshot: str
    row: int


def place_of(dataset: str, day: date | None, version: int | None, asked: PageQuestion) -> Place | None:
    """Where the page before ended; None for the first page.

    Raises:
        QueryError: the cursor is none, or one of another question.
    """
    if asked.cursor is None:
        return None
    problem = QueryError("that is no cursor of this question; ask for the first page without one")
    try:
        if not _CURSOR.fullmatch(asked.cursor):
            raise problem
        content = json.loads(urlsafe_b64decode(asked.cursor + "=" * (-len(asked.cursor) % 4)))
        kind, question, *parts = content
        place = Place(*parts)
    except (ValueError, TypeError) as error:
        raise problem from error
    if (
        [type(part) for part in content] != [int, str, int, str, int]
        or kind != _FORMAT
        or question != _question_hash(dataset, day, version, asked)
        or not _NAME.fullmatch(place.snapshot)
        or not (0 <= place.version < 2**63 and 0 <= place.row < 2**63)
        or _cursor(question, place) != asked.cursor
    ):
        raise problem
    return place


def require_askable(decision: Decision, asked: PageQuestion) -> None:
    """Raise ``QueryError`` where a page cannot be asked of what the principal sees."""
    asked_of(decision, asked.columns, asked.conditions)
    if type(asked.size) is not int or not 1 <= asked.size <= LARGEST_PAGE:
        raise QueryError(f"a page has 1 to {LARGEST_PAGE:,} rows")
    types = {column.name: column.sql_type for column in decision.shown}
    names = [order.column for order in asked.order]
    for name in names:
        if name not in types:
            raise QueryError(f"{decision.dataset} has no column {name!r}")
        if types[name] not in _EXACT:
            raise QueryError(f"rows cannot be ordered by {name!r}, which is {types[name]}")
    if len(set(names)) < len(names) or len(names) > _MOST_ORDERS:
        raise QueryError(f"order by each column once, and by {_MOST_ORDERS} at most")


def page_of(
    con: duckdb.DuckDBPyConnection,
    snapshot: Snapshot,
    decision: Decision,
    asked: PageQuestion,
    place: Place | None,
) -> tuple[pa.Table, int | None]:
    """The rows of a page, and the number of its last row where there are more.

    Args:
        con: a connection of the lake.
        snapshot: what the principal sees.
        decision: what it was made by.
        asked: the question, which can be asked (``require_askable``).
        place: where the page before ended.

    Raises:
        QueryError: the page before cannot have ended there.
    """
    after = -1 if place is None else place.row
    if after >= max(snapshot.rows, 1):
        raise QueryError("that is no cursor of this question; ask for the first page without one")
    wanted, where, parameters = asked_of(decision, asked.columns, asked.conditions)
    columns = ", ".join(identifier(name) for name in wanted)
    source = _numbered_rows(snapshot)
    if not where and not asked.order:
        last = after + asked.size
        rows = con.sql(
            f"SELECT {columns} FROM {source} WHERE {_ROW} BETWEEN $first AND $last ORDER BY {_ROW}",  # noqa: S608
            params={"first": after + 1, "last": last},
        ).to_arrow_table()
        return rows, last if last + 1 < snapshot.rows else None
    types = {column.name: column.sql_type for column in decision.shown}
    if place is not None:
        behind, values = _behind(con, source, asked.order, types, place.row)
        where = f"{where} AND {behind}" if where else f" WHERE {behind}"
        parameters |= values
    # First which rows, by the columns that this depends on, then all columns of those few.
    found = con.sql(
        f"SELECT {_ROW} FROM {source}{where} ORDER BY {_order_of(asked)} LIMIT $most",  # noqa: S608
        params=parameters | {"most": asked.size + 1},
    ).fetchall()
    numbers = [int(number) for (number,) in found]
    chosen = numbers[: asked.size]
    return _rows(con, source, columns, chosen), chosen[-1] if len(numbers) > asked.size else None


def whole_of(
    con: duckdb.DuckDBPyConnection, snapshot: Snapshot, decision: Decision, asked: PageQuestion
) -> tuple[duckdb.DuckDBPyRelation, int]:
    """All rows that pages would have, one after the other, and how many they are; ``size`` does not matter.

    The question can be asked (``require_askable``).
    """
    wanted, where, parameters = asked_of(decision, asked.columns, asked.conditions)
    columns = ", ".join(identifier(name) for name in wanted)
    source = _numbered_rows(snapshot)
    count = snapshot.rows
    if where:
        ((count,),) = con.execute(f"SELECT count(*) FROM {source}{where}", parameters).fetchall()  # noqa: S608
    # Where no order is asked for, that of the file is kept as it is read: sorting by it would cost as much again.
    ordered = f" ORDER BY {_order_of(asked)}" if asked.order else ""
    return con.sql(f"SELECT {columns} FROM {source}{where}{ordered}", params=parameters), int(count)  # noqa: S608


def next_cursor(
    dataset: str, day: date | None, version: int | None, asked: PageQuestion, snapshot: Snapshot, row: int | None
) -> str | None:
    """The cursor behind a row of a snapshot; None where there is nothing behind it."""
    read = snapshot.versions[dataset]
    if row is None or read is None:
        return None
    return _cursor(_question_hash(dataset, day, version, asked), Place(read, snapshot.path.stem, row))


def _rows(con: duckdb.DuckDBPyConnection, source: str, columns: str, numbers: list[int]) -> pa.Table:
    """Rows by their numbers, in that order."""
    some = {"first": min(numbers, default=0), "last": max(numbers, default=-1), "numbers": numbers}
    rows = con.sql(
        f"SELECT {columns}, {_ROW} FROM {source} WHERE {_ROW} BETWEEN $first AND $last "  # noqa: S608
        f"AND {_ROW} IN (SELECT unnest($numbers::BIGINT[]))",
        params=some,
    ).to_arrow_table()
    position = {number: at for at, number in enumerate(rows.column(_ROW).to_pylist())}
    at = pa.array([position[number] for number in numbers], pa.int64())
    return rows.remove_column(rows.num_columns - 1).take(at)


def _behind(
    con: duckdb.DuckDBPyConnection, source: str, order: tuple[Order, ...], types: dict[str, str], row: int
) -> tuple[str, dict[str, Any]]:
    """The condition of rows that come after a row, with its parameters."""
    exact = [_EXACT[types[one.column]] for one in order]
    values: tuple[Any, ...] = ()
    if order:
        asked = ", ".join(way.format(identifier(one.column)) for one, (way, _) in zip(order, exact, strict=True))
        (values,) = con.sql(
            f"SELECT {asked} FROM {source} WHERE {_ROW} = $row",  # noqa: S608
            params={"row": row},
        ).fetchall()
    parameters: dict[str, Any] = {"behind_row": row}
    condition = f"{_ROW} > $behind_row"
    for number, (one, (_, given), value) in reversed(list(enumerate(zip(order, exact, values, strict=True)))):
        column = identifier(one.column)
        if value is None:
            # Nulls are last: only they come after one.
            condition = f"({column} IS NULL AND {condition})"
            continue
        parameters[f"behind_{number}"] = value
        sign, bound = "<" if one.descending else ">", given.format(f"behind_{number}")
        condition = f"({column} {sign} {bound} OR {column} IS NULL OR ({column} = {bound} AND {condition}))"
    return condition, parameters


def _numbered_rows(snapshot: Snapshot) -> str:
    """The snapshot as what stands behind FROM, with each row's number in the file."""
    return f"read_parquet({literal(str(snapshot.path))}, hive_partitioning = false, {_ROW} = true)"


def _order_of(asked: PageQuestion) -> str:
    """The total order of an answer's rows, as what stands behind ORDER BY."""
    ways = [(identifier(one.column), "DESC" if one.descending else "ASC") for one in asked.order]
    return ", ".join([*(f"{column} {way} NULLS LAST" for column, way in ways), _ROW])


def _question_hash(dataset: str, day: date | None, version: int | None, asked: PageQuestion) -> str:
    """What a cursor is bound to; pages may differ in size."""
    content = (dataset, day, version, asked.columns, asked.conditions, asked.order)
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _cursor(question: str, place: Place) -> str:
    content = json.dumps([_FORMAT, question, *astuple(place)], separators=(",", ":"))
    return urlsafe_b64encode(content.encode()).decode("ascii").rstrip("=")
