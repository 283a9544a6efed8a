"""Datadog: the ``metadata.csv`` of each integration.

Columns are found by the header, whose order differs between integrations. A ``rate`` is a gauge of a change, so that
its unit needs a ``per_unit_name``; Datadog does not say whether values are whole numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from omgov_assets.data_management.catalogues.entries import (
    CatalogueEntry,
    CatalogueFile,
    CatalogueReader,
    Finding,
    shown,
)
from omgov_assets.data_management.catalogues.texts import decoded

INSTRUMENTS = {
    "gauge": "gauge",
    "rate": "gauge",
    "count": "counter",
    "counter": "counter",
    "monotonic_count": "counter",
    "distribution": "histogram",
    "histogram": "histogram",
}
REQUIRED_COLUMNS = ("metric_name", "metric_type")
ORIENTATIONS = frozenset({"", "-1", "0", "1"})

# A quote that is never closed takes in all lines up to the end of the file: a record ends here at the latest.
RECORD_LINES = 100
RECORD_CHARACTERS = 256 << 10
# Reading goes on behind a record with broken quotes, but not for ever.
BROKEN_RECORDS = 1_000

Record = tuple[int, list[str]]


class _Datadog:
    """Reader of ``metadata.csv``."""

    def wants(self, name: str) -> bool:
        """Whether a file of this relative path states metric definitions."""
        return name.rpartition("/")[2] == "metadata.csv"

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings of a file, in the order of its lines."""
        text = decoded(file)
        if isinstance(text, Finding):
            yield text
            return
        records = _records(text, file.name)
        header = next(records, None)
        if header is None or isinstance(header, Finding):
            yield Finding("unparsable_file", file.name, 1, None, "there is no header", refused=True)
            return
        names = [name.strip() for name in header[1]]
        problem = _header_problem(names)
        if problem:
            yield Finding("unparsable_file", file.name, header[0], None, problem, refused=True)
            return
        for record in records:
            if isinstance(record, Finding):
                yield record
            elif len(record[1]) != len(names):
                detail = f"{len(record[1])} fields where the header has {len(names)}"
                yield Finding("malformed_record", file.name, record[0], _name_of(record[1], names), detail, True)
            else:
                yield from _definition(file.name, record[0], dict(zip(names, record[1], strict=True)))


READER: CatalogueReader = _Datadog()


def _definition(file: str, line: int, record: dict[str, str]) -> Iterator[CatalogueEntry | Finding]:
    name = record["metric_name"]
    called = shown(name) or None
    orientation = record.get("orientation", "").strip()
    if orientation not in ORIENTATIONS:
        detail = f"orientation is '{shown(orientation)}', not -1, 0 or 1: the columns are shifted"
        yield Finding("malformed_record", file, line, called, detail, refused=True)
        return
    metric_type = record["metric_type"].strip()
    unit = record.get("unit_name", "").strip()
    per_unit = record.get("per_unit_name", "").strip()
    instrument = INSTRUMENTS.get(metric_type)
    interval, unreadable = _seconds(record.get("interval", "").strip())
    yield CatalogueEntry(
        file=file,
        line=line,
        source_metric=name,
        display_name=record.get("short_name", "").strip() or None,
        description=record.get("description", "").strip() or None,
        source_unit=(f"{unit}/{per_unit}" if per_unit else unit) if unit else None,
        instrument=instrument,
        interval_s=interval,
    )
    if metric_type and instrument is None:
        yield Finding("type_unknown", file, line, called, f"metric_type is '{shown(metric_type)}'")
    if metric_type == "rate" and not per_unit:
        yield Finding(
            "rate_without_divisor",
            file,
            line,
            called,
            f"a rate of '{shown(unit)}', per what",
        )
    if per_unit and not unit:
        yield Finding("divisor_without_unit", file, line, called, f"per '{shown(per_unit)}', of what")
    if unreadable:
        yield Finding("interval_unreadable", file, line, called, f"interval is '{shown(record['interval'])}'")


def _seconds(text: str) -> tuple[int | None, bool]:
    """The interval, and whether there is one that is none: zero, a fraction, or no number."""
    if not text:
        return None, False
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return (seconds, False) if seconds else (None, True)


def _header_problem(names: list[str]) -> str | None:
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        return f"the header lacks {', '.join(missing)}: '{shown(', '.join(names))}'"
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"the header names '{shown(', '.join(twice))}' twice" if twice else None


def _name_of(fields: list[str], names: list[str]) -> str | None:
    position = names.index("metric_name")
    return (shown(fields[position]) or None) if position < len(fields) else None


class _Lines:
    """The lines of a text, one record at a time: it ends where a record has become too long for one."""

    def __init__(self, text: str) -> None:
        self._stream = io.StringIO(text, newline="")
        self._again: list[str] = []
        self._taken: list[str] = []
        self._characters = 0
        self.line = 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= RECORD_LINES or self._characters > RECORD_CHARACTERS:
            raise StopIteration
        line = self._again.pop() if self._again else next(self._stream)
        self._taken.append(line)
        self._characters += len(line)
        return line

    def next_record(self) -> None:
        """The lines taken so far are a record."""
        self.line += len(self._taken)
        self._taken.clear()
        self._characters = 0

    def retry(self) -> None:
        """Only the first of the lines taken so far is a record, a broken one."""
        self._again += reversed(self._taken[1:])
        del self._taken[1:]
        self.next_record()

    @property
    def ended(self) -> bool:
        """Whether no line was taken: the text is at its end."""
        return not self._taken


def _records(text: str, file: str) -> Iterator[Record | Finding]:
    """Records with their first line; behind a record with broken quotes, reading goes on at the next line."""
    lines = _Lines(text)
    reader = csv.reader(lines, strict=True)
    broken = 0
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            first = lines.line
            lines.retry()
            reader = csv.reader(lines, strict=True)
            broken += 1
            detail = f"not valid CSV: {error}"
            if broken == BROKEN_RECORDS:
                detail += f"; the {BROKEN_RECORDS:,}th such record: the rest of the file was not read"
            yield Finding("malformed_record", file, first, None, detail, refused=True)
            if broken == BROKEN_RECORDS:
                return
            continue
        if fields is None:
            if lines.ended:
                return
            lines.next_record()
            reader = csv.reader(lines, strict=True)
            continue
        if fields:
            yield lines.line, fields
        lines.next_record()
