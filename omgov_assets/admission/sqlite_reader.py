"""Reading one table of an SQLite database, in the order of its rows.

SQLite types values, not columns, and hands on what is there: text that is no text, tables that are views, pages that
are damaged. Whatever could lose or invent a row is refused before the first one is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as sqlite
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omgov_assets.admission.delivered_table import (
    Delivery,
    MalformedRecord,
    count_stored,
    not_utf_8,
    payload_text,
    require_columns,
    store,
    text_schema,
    unreadable,
)
from omgov_assets.admission.delivery_limits import require_row_bytes, require_rows
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.business_systems import Limits, SourceDataset
from omgov_assets.model_management.contracts import ContractColumn

# Up to this size a batch of rows takes little enough memory whatever stands in it.
_SMALL_FILE_BYTES = 256 << 20


@dataclass(frozen=True)
class _Table:
    """A table of the database: its columns, and by what its rows are ordered; None where it has no row numbers."""

    name: str
    columns: list[str]
    row_number: str | None


def read_sqlite(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Fill ``delivery`` from a table of an SQLite database.

    Raises:
        RefusedBatchError: as ``read_delivery``; ``unfinished_database`` where part of it lies in a journal beside it,
            ``not_a_table`` where what the transport names is computed rather than stored.
    """
    columns, limits = dataset.source_contract.columns, dataset.transport.limits
    malformed: list[MalformedRecord] = []
    _require_whole_database(path)
    try:
        with _opened(path) as cursor, ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-pages") as pages:
            table = _find_table(cursor, path, dataset.transport.table or dataset.name)
            require_columns(path, table.columns, columns)
            # It takes as long as the reading itself, and goes on beside it.
            sound_pages = pages.submit(_require_sound_pages, path)
            try:
                _require_bounded(cursor, path, table, limits)
                cursor.execute(_query(table, columns))
                batches = _checked_batches(cursor.fetch_record_batch(), path, columns, limits, malformed)
                store(con, batches, columns)
            finally:
                # What is wrong with the pages says more than what their reader stumbled over.
                sound_pages.result()
    except UnicodeDecodeError as error:  # a name in the database
        raise not_utf_8(path) from error
    except (adbc_driver_manager.Error, OSError, pa.ArrowInvalid, duckdb.Error) as error:
        if "UTF8" in str(error):
            raise not_utf_8(path) from error
        raise unreadable(path, "a readable SQLite database", error, columns) from error
    return Delivery(count_stored(con) + len(malformed), "text", tuple(malformed))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A cursor on the database as it lies there."""
    with (
        sqlite.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1") as connection,
        connection.cursor() as cursor,
    ):
        # A database can bring code along, in views, checks and computed columns: none of it is run.
        for setting in ("trusted_schema = OFF", "cell_size_check = ON", "ignore_check_constraints = ON"):
            cursor.execute(f"PRAGMA {setting}")
        yield cursor


def _require_whole_database(path: Path) -> None:
    """SQLite reads zeros where the last page is cut off, an almost empty file as an empty database, and leaves out what
    was not yet moved from a journal into the file.
    """
    for ending in ("-wal", "-journal"):
        journal = path.with_name(path.name + ending)
        if journal.is_file() and journal.stat().st_size:
            raise RefusedBatchError(
                "unfinished_database",
                f"{path.name} was copied while it was written: part of it lies in {journal.name}; have the business "
                "system close or VACUUM INTO the database, and deliver it as one file",
            )
    with path.open("rb") as file:
        header = file.read(100)
    page_bytes = int.from_bytes(header[16:18], "big")
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    is_page_size = 512 <= page_bytes <= 65_536 and page_bytes.bit_count() == 1
    if len(header) < 100 or not header.startswith(b"SQLite format 3\x00") or not is_page_size:
        raise RefusedBatchError("unreadable", f"{path.name} is not an SQLite database; {ASK_AGAIN}")
    pages = int.from_bytes(header[28:32], "big")
    size = path.stat().st_size
    # The count of pages holds where the last writer knew of it; pages are whole in any case.
    expected = page_bytes * pages if header[24:28] == header[92:96] else -(-size // page_bytes) * page_bytes
    if size < expected:
        raise RefusedBatchError(
            "truncated", f"{path.name} is cut off: {size} bytes where the database has {expected}; {ASK_AGAIN}"
        )


def _find_table(cursor: Any, path: Path, name: str) -> _Table:
    # By the rules of SQLite, names that differ in case alone are one.
    cursor.execute(
        f"SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND lower(name) = lower({literal(name)})"  # noqa: S608
    )
    found = cursor.fetchall()
    if not found:
        raise RefusedBatchError(
            "missing_table", f"{path.name} has no table {name!r}, which defs.yaml names; {ASK_AGAIN}"
        )
    kind, has_no_row_number = found[0]
    cursor.execute(f"SELECT name, hidden FROM pragma_table_xinfo({literal(name)})")  # noqa: S608
    described = cursor.fetchall()
    computed = [column for column, hidden in described if hidden not in (0, 3)]
    if kind != "table" or computed:
        what = f"column {', '.join(computed)} of {name!r} is computed" if computed else f"{name!r} is a {kind} table"
        what = f"{name!r} is a view" if kind == "view" else what
        raise RefusedBatchError(
            "not_a_table", f"{path.name}: {what}, and only what is stored is read; export it as an ordinary table"
        )
    columns = [column for column, _ in described]
    taken = {column.lower() for column in columns}
    row_number = next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken), None)
    return _Table(name, columns, None if has_no_row_number else row_number)


def _require_sound_pages(path: Path) -> None:
    """A damaged page can drop rows or give some twice, without an error on reading them."""
    with _opened(path) as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        (finding,) = cursor.fetchone()
    if finding != "ok":
        finding = " ".join(str(finding).removeprefix("*** in database main ***").split())
        raise RefusedBatchError("unreadable", f"{path.name} is a damaged SQLite database: {finding}; {ASK_AGAIN}")


def _require_bounded(cursor: Any, path: Path, table: _Table, limits: Limits) -> None:
    cursor.execute(f"SELECT count(*) FROM {identifier(table.name)} NOT INDEXED")  # noqa: S608 - quoted
    require_rows(path, cursor.fetchone()[0], limits)
    if path.stat().st_size > _SMALL_FILE_BYTES:
        # Lengths stand in front of the values, which are not read for them.
        row_bytes = " + ".join(f"ifnull(octet_length({identifier(column)}), 0)" for column in table.columns)
        cursor.execute(f"SELECT max({row_bytes}) FROM {identifier(table.name)} NOT INDEXED")  # noqa: S608
        require_row_bytes(path, cursor.fetchone()[0] or 0, limits)


def _query(table: _Table, columns: tuple[ContractColumn, ...]) -> str:
    """All as text, numbers in full precision, to be cast by the contract; and whether a value is no text but bytes."""
    delivered = [identifier(column.delivered_as) for column in columns]
    selected = ", ".join(
        f"CASE typeof({quoted}) WHEN 'real' THEN printf('%!.17g', {quoted}) "
        f"WHEN 'blob' THEN hex({quoted}) ELSE CAST({quoted} AS TEXT) END"
        for quoted in delivered
    )
    has_bytes = " OR ".join(f"typeof({quoted}) = 'blob'" for quoted in delivered)
    # An index could stand in for the table, and lack rows of it.
    order = f" ORDER BY {table.row_number}" if table.row_number else ""
    rows = f"SELECT {selected}, {has_bytes} FROM {identifier(table.name)} NOT INDEXED{order}"  # noqa: S608
    # The driver types a column by its first rows, and fails where text follows after nulls: a first row of texts tells
    # it, and is skipped.
    texts = ", ".join(f"'' AS {identifier(column.name)}" for column in columns)
    return f"SELECT {texts}, 0 AS has_bytes UNION ALL SELECT * FROM ({rows})"  # noqa: S608


def _checked_batches(
    reader: pa.RecordBatchReader,
    path: Path,
    columns: tuple[ContractColumn, ...],
    limits: Limits,
    malformed: list[MalformedRecord],
) -> Iterator[pa.RecordBatch]:
    """The rows with their numbers; those with a value that is no text are malformed."""
    next_number = 0  # the first row is skipped
    for batch in reader:
        # A database hands on the bytes it was given.
        batch.validate(full=True)
        if batch.nbytes > limits.max_row_bytes:
            require_row_bytes(path, _longest(batch), limits)
        numbers = np.arange(next_number, next_number + batch.num_rows)
        next_number += batch.num_rows
        has_bytes = batch.column(len(columns)).to_numpy(zero_copy_only=False) != 0
        kept = ~has_bytes & (numbers > 0)
        for place in np.flatnonzero(has_bytes).tolist():
            malformed.append(_with_bytes(int(numbers[place]), batch, place, columns))
        rows = pa.RecordBatch.from_arrays(
            [pa.array(numbers, pa.int64()), *batch.columns[:-1]], schema=text_schema(columns)
        )
        yield rows if kept.all() else rows.filter(pa.array(kept))


def _with_bytes(number: int, batch: pa.RecordBatch, place: int, columns: tuple[ContractColumn, ...]) -> MalformedRecord:
    values = {column.delivered_as: batch.column(n)[place].as_py() for n, column in enumerate(columns)}
    return number, "binary_value", "a value is bytes where text or a number was expected", payload_text(values)


def _longest(batch: pa.RecordBatch) -> int:
    lengths = [pc.fill_null(pc.binary_length(column), 0) for column in batch.columns[:-1]]
    return int(np.sum([length.to_numpy(zero_copy_only=False) for length in lengths], axis=0).max(initial=0))
