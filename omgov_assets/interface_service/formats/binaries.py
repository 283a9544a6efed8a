"""Rows as files of programs: Arrow, Parquet and XLSX.

Owns one rule: the bytes depend on the rows that are shown and on nothing else. Arrow has room for a value below each
null, and what is null to a principal may not be null in the lake. Does not belong here: text (``texts``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from omgov_assets.interface_service.formats.cells import defused
from omgov_assets.interface_service.formats.texts import columns

# What a sheet of an XLSX file holds at most, its header among them, and a cell.
_MOST_SHEET_ROWS = 1_048_576
_MOST_CELL_CHARACTERS = 32_767
# A spreadsheet's numbers are doubles: greater ones would lose digits.
_MOST_EXACT = 2**53
_PIECE = 1 << 18


class DoesNotFitError(ValueError):
    """Rows that a format cannot hold; the message says what to take instead."""


def arrow(reader: pa.RecordBatchReader, _tmp: Path) -> Iterator[bytes]:
    """Arrow's stream format."""
    sink = _Pieces()
    with pa.ipc.new_stream(sink, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(made_anew(batch))
            yield sink.taken()
    yield sink.taken()


def parquet(reader: pa.RecordBatchReader, tmp: Path) -> Iterator[bytes]:
    """A Parquet file."""
    yield from _by_file(reader, tmp, _write_parquet)


def xlsx(reader: pa.RecordBatchReader, tmp: Path) -> Iterator[bytes]:
    """A workbook with one sheet, ``rows``; days and times are text, and so are integers too large for its numbers.

    Raises:
        DoesNotFitError: there are more rows than a sheet holds, or a text is longer than a cell.
    """
    yield from _by_file(reader, tmp, _write_xlsx)


def made_anew(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same values in buffers of their own, with zeros below nulls and behind the last row."""
    return pa.RecordBatch.from_arrays([_made_anew(column) for column in batch.columns], schema=batch.schema)


def _made_anew(column: pa.Array) -> pa.Array:
    kind = column.type
    there = column.is_valid().to_numpy(zero_copy_only=False)
    bitmap = None if there.all() else pa.py_buffer(np.packbits(there, bitorder="little").tobytes())
    if pa.types.is_string(kind):
        filled = pc.fill_null(column, "")
        lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False).astype(np.int64)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]).astype(np.int32)
        text = "".join(filled.to_pylist()).encode()
        return pa.Array.from_buffers(kind, len(column), [bitmap, pa.py_buffer(offsets), pa.py_buffer(text)])
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_timestamp(kind):
        plain = column.view(pa.float64() if pa.types.is_floating(kind) else pa.int64())
        values = pc.fill_null(plain, 0).to_numpy(zero_copy_only=False)
        return pa.Array.from_buffers(kind, len(column), [bitmap, pa.py_buffer(values.tobytes())])
    # Of the others there are few: what Python makes of them is new.
    return pa.array(column.to_pylist(), kind)


def _by_file(
    reader: pa.RecordBatchReader, tmp: Path, write: Callable[[IO[bytes], pa.RecordBatchReader, Path], None]
) -> Iterator[bytes]:
    """Pieces of a file that cannot be written from its beginning to its end; it is gone when the last is taken."""
    tmp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=tmp) as file:
        write(file, reader, tmp)
        file.seek(0)
        while piece := file.read(_PIECE):
            yield piece


def _write_parquet(file: IO[bytes], reader: pa.RecordBatchReader, _tmp: Path) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)


def _write_xlsx(file: IO[bytes], reader: pa.RecordBatchReader, tmp: Path) -> None:
    from xlsxwriter.exceptions import FileCreateError

    try:
        # On a full disk the library leaves its files behind.
        with tempfile.TemporaryDirectory(dir=tmp) as scratch:
            _write_book(file, reader, scratch)
    except FileCreateError as error:
        # What the system said.
        raise error.args[0] from error


def _write_book(file: IO[bytes], reader: pa.RecordBatchReader, scratch: str) -> None:
    from xlsxwriter import Workbook

    # Rows are written as they come, so that a full sheet does not have to fit into memory.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
               "constant_memory": True, "tmpdir": scratch}  # fmt: skip
    with Workbook(file, options) as book:
        # Same rows, same bytes.
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
        sheet = book.add_worksheet("rows")
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, reader.schema.names, book.add_format({"bold": True}))
        line = 0
        for batch in reader:
            for row in zip(*columns(batch), strict=True):
                line += 1
                if line >= _MOST_SHEET_ROWS:
                    raise DoesNotFitError(
                        f"There are more rows than a sheet holds, {_MOST_SHEET_ROWS - 1:,}: take CSV."
                    )
                for place, value in enumerate(row):
                    _write_cell(sheet, line, place, value)
        sheet.autofilter(0, 0, line, len(reader.schema.names) - 1)


def _write_cell(sheet: Any, line: int, place: int, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, int | float) and abs(value) <= _MOST_EXACT:
        sheet.write(line, place, value)
    elif isinstance(value, float):
        sheet.write_number(line, place, value)
    else:
        text = str(defused(value))
        if len(text) > _MOST_CELL_CHARACTERS:
            raise DoesNotFitError(
                f"A text is longer than a cell holds, {_MOST_CELL_CHARACTERS:,} characters: take CSV."
            )
        sheet.write_string(line, place, text)


class _Pieces:
    """What Arrow has written since it was last taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: Any) -> int:
        written = bytes(piece)
        self._pieces.append(written)
        return len(written)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        pieces = b"".join(self._pieces)
        self._pieces.clear()
        return pieces
