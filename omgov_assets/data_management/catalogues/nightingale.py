"""Metrics of Nightingale, from the built-in metric lists ``integrations/*/metrics/*.json``, unchanged.

Belongs here: lists of metric definitions. Does not belong here: alert rules, dashboards and collectors.

Nightingale's metric is an expression in PromQL, most often a bare name, with a name, a note and a unit for people:
the expression is the source metric, since it is what its series are found by. Two definitions of one expression are a
duplicate, whatever they are called. Names stand in several languages: the Chinese and the English one are taken, as
``中文 / English``. The unit ``none`` means that there is none. Value type and interval are not said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from omgov_assets.data_management.catalogues.entries import CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.texts import decoded, quoted

_MOST_METRICS = 1_000_000
_NO_UNIT = frozenset({"", "none"})
_INSTRUMENTS = {
    "gauge": "gauge",
    "counter": "counter",
    "histogram": "histogram",
    # A distribution, too, with its quantiles worked out at the source.
    "summary": "histogram",
}
_BLANKS = re.compile(r"[ \t\r\n]*+")
# An expression laid out over several lines means the same on one: no string of PromQL in quotes holds a line break.
_LINE_BREAK = re.compile(r"[\r\n]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class NightingaleReader:
    """Reads Nightingale's lists of built-in metrics."""

    def wants(self, name: str) -> bool:
        """JSON files in a folder named ``metrics``, or given without their folder."""
        path = PurePosixPath(name)
        return path.suffix == ".json" and path.parent.name in {"", "metrics"}

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings in the order of their lines."""
        text = decoded(file)
        if isinstance(text, Finding):
            yield text
            return
        try:
            records = _records(text)
        except json.JSONDecodeError as error:
            detail = f"not valid JSON: {error.msg}"
            yield Finding("unparsable_file", file.name, error.lineno, None, detail, refused=True)
        except RecursionError:
            yield Finding("unparsable_file", file.name, 0, None, "nested too deeply", refused=True)
        except ValueError as error:
            yield Finding("unparsable_file", file.name, 0, None, f"not valid JSON: {error}", refused=True)
        else:
            for line, record in records:
                yield from _metric(record, file.name, line)


READER = NightingaleReader()


class _Record(dict[str, Any]):
    """A JSON object that remembers a key that stands twice; the last one counts, as everywhere in JSON."""

    repeated: str | None = None


def _record(pairs: list[tuple[str, Any]]) -> _Record:
    record = _Record(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        record.repeated = next(name for name in record if names.count(name) > 1)
    return record


def _records(text: str) -> list[tuple[int, Any]]:
    """The elements of a JSON array with the lines they begin in.

    Raises:
        ValueError: not JSON, no array, or too many elements; mostly a ``json.JSONDecodeError``.
        RecursionError: nested too deeply.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_record)
    found: list[tuple[int, Any]] = []
    position = _after_blanks(text, 0)
    if text[position : position + 1] != "[":
        raise json.JSONDecodeError("not a list of metrics", text, position)
    position = _after_blanks(text, position + 1)
    counted, line = 0, 1
    while text[position : position + 1] != "]" or found:
        line += text.count("\n", counted, position)
        counted = position
        value, position = decoder.raw_decode(text, position)
        found.append((line, value))
        if len(found) > _MOST_METRICS:
            raise json.JSONDecodeError(f"more than {_MOST_METRICS:,} metrics", text, position)
        position = _after_blanks(text, position)
        if text[position : position + 1] == "]":
            break
        if text[position : position + 1] != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
        position = _after_blanks(text, position + 1)
    position = _after_blanks(text, position + 1)
    if position < len(text):
        raise json.JSONDecodeError("Extra data", text, position)
    return found


def _after_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def _metric(record: Any, file: str, line: int) -> Iterator[CatalogueEntry | Finding]:
    if not isinstance(record, _Record):
        yield Finding("malformed_record", file, line, None, "a metric is no object", refused=True)
        return
    expression = record.get("expression")
    if expression is None or expression == "" or (isinstance(expression, str) and not expression.strip()):
        detail = f"{quoted(record.get('name'))} without an expression"
        yield Finding("name_missing", file, line, None, detail, refused=True)
        return
    if not isinstance(expression, str) or _SURROGATE.search(expression):
        detail = f"the expression {quoted(expression)} is no text"
        yield Finding("malformed_record", file, line, None, detail, refused=True)
        return
    metric = " ".join(filter(None, (part.strip() for part in _LINE_BREAK.split(expression))))
    yield from _doubts(record, metric, file, line)
    names = [_text(part.get("name")) for part in _translations(record, "zh_CN", "en_US")] or [_text(record.get("name"))]
    notes = [_text(record.get("note")), *(_text(part.get("note")) for part in _translations(record, "zh_CN", "en_US"))]
    unit = _text(record.get("unit"))
    yield CatalogueEntry(
        file=file,
        line=line,
        source_metric=metric,
        display_name=" / ".join(dict.fromkeys(name for name in names if name)) or _text(record.get("name")),
        description=next((note for note in notes if note), None),
        source_unit=None if unit is None or unit.lower() in _NO_UNIT else unit,
        instrument=_INSTRUMENTS.get(_text(record.get("metric_type")) or ""),
    )


def _doubts(record: _Record, metric: str, file: str, line: int) -> Iterator[Finding]:
    if record.repeated is not None:
        detail = f"{quoted(record.repeated)} stands twice; the last one counts"
        yield Finding("malformed_record", file, line, metric, detail)
    for key in ("name", "note", "unit", "metric_type"):
        value = record.get(key)
        if value is not None and (not isinstance(value, str) or _SURROGATE.search(value)):
            yield Finding("malformed_record", file, line, metric, f"{key} {quoted(value)} is no text; it was not read")
    if not isinstance(record.get("translation", []), list | None):
        yield Finding("malformed_record", file, line, metric, "translation is no list; it was not read")
    stated = _text(record.get("metric_type"))
    if stated is not None and stated not in _INSTRUMENTS:
        detail = f"metric_type {quoted(stated)} is none of {', '.join(_INSTRUMENTS)}"
        yield Finding("type_unknown", file, line, metric, detail)


def _translations(record: _Record, *languages: str) -> list[_Record]:
    """The translations into these languages, in their order."""
    given = record.get("translation")
    parts = [part for part in given if isinstance(part, _Record)] if isinstance(given, list) else []
    return [part for language in languages for part in parts if part.get("lang") == language]


def _text(value: Any) -> str | None:
    """Text of a value; None for other types, blanks, and text that no encoding holds."""
    if not isinstance(value, str) or _SURROGATE.search(value):
        return None
    return value.strip() or None
