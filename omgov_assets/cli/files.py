"""Writing rows as a file that people open: CSV, XLSX, JSON, NDJSON or Parquet by the ending of its name.

Owns one rule: a text that a spreadsheet would run as a formula gets an apostrophe in front, in CSV and in XLSX. Does
not belong here: what is written.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from omgov_assets.cli.output import defused, fail

if TYPE_CHECKING:
    import pyarrow as pa

# What a sheet of an XLSX file holds at most, its header among them.
_MOST_SHEET_ROWS = 1_048_576


def require_known_ending(out: Path) -> None:
    """End the command where the file's name does not say a format."""
    if out.suffix.lower() not in _WRITERS:
        fail(f"{out}: name a file that ends in {', '.join(_WRITERS)}")


def write_file(out: Path, reader: pa.RecordBatchReader) -> int:
    """Write rows to a file, which is there whole or not at all; returns how many. Ends the command where it cannot."""
    require_known_ending(out)
    part = out.with_name(f".{out.name}.part")
    try:
        with part.open("wb") as file:
            rows = _WRITERS[out.suffix.lower()](file, reader)
        part.replace(out)
    except OSError as error:
        fail(f"{out} cannot be written ({error})")
    finally:
        part.unlink(missing_ok=True)
    return rows


def _rows(reader: pa.RecordBatchReader) -> Iterator[dict[str, Any]]:
    for batch in reader:
        yield from batch.to_pylist()


def _write_csv(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    count = 0
    # With a byte order mark, which spreadsheets need to read Chinese as such.
    file.write(b"\xef\xbb\xbf")
    writer = csv.writer(_Text(file), lineterminator="\r\n")
    writer.writerow(reader.schema.names)
    for row in _rows(reader):
        writer.writerow([defused(value) for value in row.values()])
        count += 1
    return count


def _write_xlsx(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    from xlsxwriter import Workbook

    count = 0
    # Rows are written as they come, so that a full sheet does not have to fit into memory.
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
               "constant_memory": True}  # fmt: skip
    with Workbook(file, options) as book:
        # Same rows, same bytes.
        book.set_properties({"created": datetime(2000, 1, 1, tzinfo=UTC)})
        sheet = book.add_worksheet("rows")
        sheet.freeze_panes(1, 0)
        sheet.write_row(0, 0, reader.schema.names, book.add_format({"bold": True}))
        for count, row in enumerate(_rows(reader), 1):
            if count >= _MOST_SHEET_ROWS:
                fail("there are more rows than a sheet holds; write .csv")
            for column, value in enumerate(row.values()):
                if isinstance(value, bool | int | float) and value == value and abs(value) != float("inf"):
                    sheet.write(count, column, value)
                elif value is not None:
                    sheet.write_string(count, column, str(defused(_text(value))))
        sheet.autofilter(0, 0, count, len(reader.schema.names) - 1)
    return count


def _write_json(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    count = 0
    for count, row in enumerate(_rows(reader), 1):
        file.write((",\n" if count > 1 else "[\n").encode() + _json(row))
    file.write(b"\n]\n" if count else b"[]\n")
    return count


def _write_ndjson(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    count = 0
    for row in _rows(reader):
        file.write(_json(row) + b"\n")
        count += 1
    return count


def _write_parquet(file: IO[bytes], reader: pa.RecordBatchReader) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


class _Text:
    """A file of bytes as one of text that stays open."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


def _json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, default=_text).encode()


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value if isinstance(value, list | tuple) else str(value)


_WRITERS: dict[str, Callable[[IO[bytes], pa.RecordBatchReader], int]] = {
    ".csv": _write_csv,
    ".xlsx": _write_xlsx,
    ".json": _write_json,
    ".ndjson": _write_ndjson,
    ".parquet": _write_parquet,
}
