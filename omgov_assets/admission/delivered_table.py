"""The table ``delivery`` that every reader fills, and what all readers say of files they cannot use.

``delivery`` holds ``_record_no`` (from 1, in file order) and one column per contract column, under the contract's
names. Does not belong here: any one format.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.durability import is_no_room
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.masks import OPEN_GRADE, masked_error, masked_text
from omgov_assets.model_management.contracts import ContractColumn

ValueKind = Literal["text", "json", "typed"]

# A record that has no columns: its number, reason code, sentence, text.
MalformedRecord = tuple[int, str, str, str]


@dataclass(frozen=True)
class Delivery:
    """What was read from one file.

    Attributes:
        rows_in: records in the file, well-formed or not.
        kind: how the columns of table ``delivery`` are typed.
        malformed: records that have no columns at all (ragged line, broken JSON).
    """

    rows_in: int
    kind: ValueKind
    malformed: tuple[MalformedRecord, ...]


def text_schema(columns: tuple[ContractColumn, ...]) -> pa.Schema:
    """Schema of the batches that ``store`` takes: the record's number, and all values as text."""
    return pa.schema([("_record_no", pa.int64()), *((column.name, pa.string()) for column in columns)])


@contextmanager
def streamed(
    con: duckdb.DuckDBPyConnection, view: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]
) -> Iterator[None]:
    """Show batches as a view, which can be read once; each is made while DuckDB takes in the one before.

    Raises:
        BaseException: whatever the batches raised, which DuckDB would turn into an error of its own.
    """
    faults: list[BaseException] = []

    def until_fault() -> Iterator[pa.RecordBatch]:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as worker:
            ahead = worker.submit(next, batches, None)
            while True:
                fault = ahead.exception()
                if fault is not None:
                    faults.append(fault)
                    return
                batch = ahead.result()
                if batch is None:
                    return
                ahead = worker.submit(next, batches, None)
                yield batch

    con.register(view, pa.RecordBatchReader.from_batches(schema, until_fault()))
    try:
        yield
    finally:
        con.unregister(view)
        if faults:
            raise faults[0]


def store(
    con: duckdb.DuckDBPyConnection, batches: Iterator[pa.RecordBatch], columns: tuple[ContractColumn, ...]
) -> None:
    """Fill ``delivery`` with batches of ``text_schema``."""
    with streamed(con, "incoming", text_schema(columns), batches):
        con.execute("CREATE TEMP TABLE delivery AS SELECT * FROM incoming")


def count_stored(con: duckdb.DuckDBPyConnection) -> int:
    """Records in ``delivery``."""
    return int(one_row(con, "SELECT count(*) FROM delivery")[0])


def require_columns(path: Path, found: list[str], columns: tuple[ContractColumn, ...]) -> None:
    """Refuse a file whose columns are not exactly those of its contract, in any order.

    Raises:
        RefusedBatchError: code ``duplicate_column``, ``missing_column`` or ``extra_column``.
    """
    expected = [column.delivered_as for column in columns]
    twice = shown_names(sorted({name for name in found if found.count(name) > 1}), columns)
    missing = [name for name in expected if name not in found]
    extra = shown_names([name for name in found if name not in expected], columns)
    if twice:
        raise RefusedBatchError("duplicate_column", f"{path.name}: column {', '.join(twice)} stands twice; {ASK_AGAIN}")
    if missing:
        raise RefusedBatchError(
            "missing_column",
            f"{path.name}: column {', '.join(missing)} is missing"
            + (f" (there is {', '.join(extra)} instead)" if extra else "")
            + f": the source contract names {len(expected)} columns; {ASK_AGAIN}, or publish a new contract version",
        )
    if extra:
        raise RefusedBatchError(
            "extra_column",
            f"{path.name}: column {', '.join(extra)} is not in the source contract; "
            "publish a new contract version that names it, or have it removed",
        )


def unreadable(
    path: Path, expected: str, error: Exception, columns: tuple[ContractColumn, ...] = ()
) -> RefusedBatchError:
    """The refusal of a file that a library could not read, with the library's reason.

    Raises:
        Exception: ``error`` itself, where it is the disk that is full: that is no fault of the file.
    """
    if is_no_room(error):
        raise error
    if isinstance(error, duckdb.OutOfMemoryException):
        return RefusedBatchError(
            "expands_too_much", f"{path.name} holds values that take more memory than omgov may use; {ASK_AGAIN}"
        )
    text = str(error).strip().replace(str(path), path.name)
    if holds_graded(columns):
        text = masked_error(text, path.name, *(column.delivered_as for column in columns))
    lines = text.splitlines()
    reason = (lines[0] if lines else type(error).__name__).rstrip(". ")
    return RefusedBatchError("unreadable", f"{path.name} is not {expected}: {reason}; {ASK_AGAIN}")


def holds_graded(columns: Iterable[ContractColumn]) -> bool:
    """Whether records of these columns hold what must not be shown."""
    return any(column.grade > OPEN_GRADE for column in columns)


def shown_names(names: Iterable[str], columns: tuple[ContractColumn, ...]) -> list[str]:
    """Names of columns as a reason may show them.

    Where the header is missing or fields are shifted, it is values that stand there: of a delivery that holds graded
    columns only the names that its contract knows are shown.
    """
    known = {column.delivered_as for column in columns}
    guarded = holds_graded(columns)
    return [masked_text(name) if guarded and name not in known else name for name in names]


def not_utf_8(path: Path) -> RefusedBatchError:
    """The refusal of a binary file whose texts are of another encoding."""
    return RefusedBatchError("wrong_encoding", f"{path.name} holds text that is not UTF-8; {ASK_AGAIN}")


def payload_text(record: dict[str, object]) -> str:
    """A refused record as JSON text, characters as delivered."""
    return json.dumps(record, ensure_ascii=False, default=str)
