"""Rows as text: JSON, NDJSON and CSV, in pieces of some thousand rows, so that no answer has to fit into memory.

Owns what each value is written as. Text is itself, integers have all their digits, days are ``2026-11-20``, times
``2026-11-20T08:00:00.000000Z`` (UTC, always with microseconds, so that their order is that of the text). What is no
number, or infinite, is null: JSON cannot say it. In CSV null is an empty cell, a list its members joined by ``, ``, and
a text that a spreadsheet would run as a formula has an apostrophe in front.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from omgov_assets.interface_service.formats.cells import BEGINS_A_FORMULA, defused

# Spreadsheets need it to read Chinese as such.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def json_text(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """A list of objects, one a line."""
    yield b"["
    first = True
    for batch in reader:
        if batch.num_rows:
            yield (b"\n" if first else b",\n") + b",\n".join(map(orjson.dumps, objects(batch)))
            first = False
    yield b"]\n" if first else b"\n]\n"


def ndjson(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """An object a line."""
    for batch in reader:
        if batch.num_rows:
            yield b"\n".join(map(orjson.dumps, objects(batch))) + b"\n"


def csv_text(reader: pa.RecordBatchReader) -> Iterator[bytes]:
    """CSV as RFC 4180 says, in UTF-8 with a byte order mark; the first line names the columns."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(reader.schema.names)
    yield _BYTE_ORDER_MARK + lines.taken()
    for batch in reader:
        writer.writerows(zip(*map(_cells, batch.columns), strict=True))
        yield lines.taken()


def objects(batch: pa.RecordBatch | pa.Table) -> list[dict[str, Any]]:
    """The rows as dictionaries of what JSON can say."""
    names = batch.schema.names
    return [dict(zip(names, row, strict=True)) for row in zip(*columns(batch), strict=True)]


def columns(batch: pa.RecordBatch | pa.Table) -> list[list[Any]]:
    """The columns as lists of what JSON can say."""
    return [_values(column) for column in batch.columns]


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_floating(kind):
        column = pc.if_else(pc.is_finite(column), column, None)
    elif pa.types.is_timestamp(kind):
        # Times of a zone are kept in UTC; by way of text, so that no time is too far for Python.
        texts = column.cast(pa.timestamp("us")).cast(pa.string()).to_pylist()
        return [text if text is None else f"{text.replace(' ', 'T', 1)}Z" for text in texts]
    elif not (
        pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_list(kind)
    ):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _cells(column: pa.Array) -> list[Any]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.string())
    values = _values(column)
    if pa.types.is_string(column.type):
        # Few columns hold any formula: only their values are looked at one by one.
        first = pc.utf8_slice_codeunits(column, 0, 1)
        if not pc.any(pc.is_in(first, value_set=pa.array(BEGINS_A_FORMULA))).as_py():
            return values
    elif not pa.types.is_list(column.type):
        return values
    return [defused(value) for value in values]


class _Lines:
    """What a CSV writer has written since it was last taken."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def write(self, line: str) -> None:
        self._lines.append(line)

    def taken(self) -> bytes:
        text = "".join(self._lines).encode()
        self._lines.clear()
        return text
