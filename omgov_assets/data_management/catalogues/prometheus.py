"""Metrics of a Prometheus exposition: the text format 0.0.4 and OpenMetrics, as an exporter serves it.

Belongs here: metric families with their ``HELP``, ``TYPE`` and ``UNIT``. Does not belong here: the samples' values.

A line that cannot be read is a finding, and the others count all the same; the Python client's parser would refuse
the whole page, and Prometheus the whole scrape. A family is one metric, named as its series are (an OpenMetrics counter
``x`` has the series ``x_total``); a histogram or summary is one metric, too, both of instrument histogram, since both
are distributions. ``untyped`` and ``unknown`` say no instrument. Every value is a float in this format, counts
included, so that the value type is not said.

The unit is that of ``UNIT``, else the one that Prometheus's naming conventions put at a name's end: a base unit of
their table, behind which ``_total`` may stand. A counter named ``…_total`` without any unit is, by the conventions, a
unit-less accumulating count: unit 1. Words that are no base unit (``_milliseconds``, ``_percent``) state nothing by the
conventions, and the unit is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from omgov_assets.data_management.catalogues.entries import CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.texts import decoded, quoted

_SUFFIXES = frozenset({".txt", ".prom", ".metrics", ".openmetrics", ".om"})
_LONGEST_LINE = 1 << 20
_MOST_FINDINGS = 1_000

_INSTRUMENTS: dict[str, str | None] = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "gaugehistogram": "histogram",
    "summary": "histogram",
    "info": "gauge",
    "stateset": "gauge",
    "untyped": None,
    "unknown": None,
}
# Suffixes that a family's samples add to its name.
_SAMPLE_SUFFIXES: dict[str, tuple[str, ...]] = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "summary": ("_sum", "_count", "_created"),
    "info": ("_info",),
}

# https://prometheus.io/docs/practices/naming/#base-units
_BASE_UNITS = frozenset({"seconds", "celsius", "meters", "bytes", "ratio", "volts", "amperes", "joules", "grams"})
# A name with one of these is no plain count, though it states its unit otherwise than the conventions say.
_UNIT_WORDS = re.compile(
    "(?:milli|micro|nano|kilo|mega|giga)?(?:second|byte|bit|meter|volt|ampere|joule|gram|watt|hertz)s?"
    "|ns|us|ms|minutes?|hours?|days?|[kmg]i?b|octets?|celsius|kelvin|fahrenheit|ratio|percent(?:age)?|jiffies"
)

_NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*+"
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_METADATA = re.compile(rf"#[ \t]*+(HELP|TYPE|UNIT)(?:[ \t]++({_NAME}|{_QUOTED})(?:[ \t]++(.*+))?+)?+")
_NUMBER = r"[+-]?(?:(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+|(?i:inf(?:inity)?+|nan))"
_LABEL = rf"[ \t]*+(?:{_NAME}|{_QUOTED})[ \t]*+=[ \t]*+{_QUOTED}[ \t]*+"
_LABELS = (
    rf"\{{[ \t]*+({_QUOTED}(?![ \t]*+=)[ \t]*+(?:,|(?=\}})))?+"  # a name of the new alphabet stands among the labels
    rf"(?:{_LABEL}(?:,{_LABEL})*+,?)?+[ \t]*+\}}"
)
_SAMPLE = re.compile(
    rf"({_NAME})?+[ \t]*+(?:{_LABELS})?+(?<=[ \t\}}])[ \t]*+{_NUMBER}(?:[ \t]++{_NUMBER})?+[ \t]*+(?:\#.*+)?+"
)
_ESCAPE = re.compile(r'\\([\\n"])')


class PrometheusReader:
    """Reads expositions in text form."""

    def wants(self, name: str) -> bool:
        """Text files, and files named ``metrics`` as the endpoint is; no licences or read-me files."""
        path = PurePosixPath(name)
        stem = path.stem.upper()
        return (path.suffix in _SUFFIXES or path.name == "metrics") and stem not in {"LICENSE", "NOTICE", "README"}

    def read(self, file: CatalogueFile) -> Iterator[CatalogueEntry | Finding]:
        """Entries and findings in the order of their lines."""
        text = decoded(file)
        if isinstance(text, Finding):
            yield text
            return
        exposition = _Exposition(file.name)
        for number, line in enumerate(text.split("\n"), 1):
            exposition.take(number, line.strip(" \t\r"))
        yield from exposition.results()


READER = PrometheusReader()


@dataclass(slots=True)
class _Family:
    """A metric family as far as it is read."""

    name: str
    line: int
    stated: dict[str, str] = field(default_factory=dict)
    samples: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        return self.stated.get("TYPE", "untyped")

    def series_name(self) -> str:
        """The name of its series: OpenMetrics adds to the name of a counter or info."""
        for suffix in ("_total", "_info"):
            named = self.name + suffix
            if (
                suffix in _SAMPLE_SUFFIXES.get(self.kind, ())
                and named in self.samples
                and self.name not in self.samples
            ):
                return named
        return self.name

    def entry(self, file: str) -> CatalogueEntry:
        name = self.series_name()
        return CatalogueEntry(
            file=file,
            line=self.line,
            source_metric=name,
            description=_unescaped(self.stated.get("HELP", "")) or None,
            source_unit=self.stated.get("UNIT") or _unit_of_name(name, self.kind),
            instrument=_INSTRUMENTS.get(self.kind),
        )


class _Exposition:
    """A page under reading."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._families: dict[str, _Family] = {}
        self._findings: list[Finding] = []
        self._lines_read = 0
        self._lines_malformed = 0

    def take(self, number: int, line: str) -> None:
        """Read a line without its outer blanks."""
        if not line:
            return
        if len(line) > _LONGEST_LINE:
            self._malformed(number, f"the line has {len(line):,} characters")
        elif line.startswith("#"):
            self._comment(number, line)
        else:
            self._sample(number, line)

    def results(self) -> Iterator[CatalogueEntry | Finding]:
        """What the page gives, in the order of its lines, findings before the entry of the same line."""
        if self._lines_malformed and not self._lines_read:
            detail = f"none of {self._lines_malformed:,} lines is one of a Prometheus exposition"
            yield Finding("unparsable_file", self._file, self._findings[0].line, None, detail, refused=True)
            return
        items: list[CatalogueEntry | Finding] = [*self._findings]
        items += [family.entry(self._file) for family in self._families.values()]
        unlisted = self._lines_malformed - _MOST_FINDINGS
        if unlisted > 0:
            detail = f"{unlisted:,} further lines are malformed"
            yield Finding("malformed_record", self._file, 0, None, detail, refused=True)
        yield from sorted(items, key=lambda item: item.line)

    def _comment(self, number: int, line: str) -> None:
        match = _METADATA.fullmatch(line)
        if match is None:
            if re.match(r"#[ \t]*+(?:HELP|TYPE|UNIT)(?:[ \t]|$)", line):
                self._malformed(number, f"{quoted(line)} does not name a metric")
            return
        keyword, written, value = match[1], match[2], (match[3] or "").strip(" \t")
        name = _name(written)
        if not name:
            self._malformed(number, f"{keyword} does not name a metric")
            return
        if keyword == "TYPE" and not value:
            self._malformed(number, "TYPE without a type", name)
            return
        self._lines_read += 1
        family = self._family(name, number)
        if keyword in family.stated:
            self._repeated(number, family, keyword, value)
            return
        if keyword == "TYPE" and value not in _INSTRUMENTS:
            detail = f"type {quoted(value)} is none of {', '.join(_INSTRUMENTS)}"
            self._findings.append(Finding("type_unknown", self._file, number, name, detail))
        if keyword != "HELP" and family.samples:
            self._findings.append(
                Finding("malformed_record", self._file, number, name, f"{keyword} stands behind its first sample")
            )
        family.stated[keyword] = value

    def _repeated(self, number: int, family: _Family, keyword: str, value: str) -> None:
        """A second ``HELP``, ``TYPE`` or ``UNIT`` of a family is not permitted; the first one counts."""
        first = family.stated[keyword]
        kind = "malformed_record"
        if value != first and keyword != "HELP":
            kind = "type_conflict" if keyword == "TYPE" else "unit_conflict"
        detail = f"{keyword} stands twice: {quoted(first)}, and here {quoted(value)}; the first one counts"
        self._findings.append(Finding(kind, self._file, number, family.name, detail))

    def _sample(self, number: int, line: str) -> None:
        match = _SAMPLE.fullmatch(line)
        written = [part for part in match.groups() if part] if match else []
        name = _name(written[0].rstrip(", \t")) if len(written) == 1 else ""
        if not name:
            self._malformed(number, f"{quoted(line)} is no sample")
            return
        self._lines_read += 1
        family = self._owner(name) or self._family(name, number)
        family.samples.add(name)

    def _owner(self, sample: str) -> _Family | None:
        """The family that a sample belongs to by its suffix, unless a family bears the sample's own name."""
        if sample in self._families:
            return self._families[sample]
        stem, underscore, suffix = sample.rpartition("_")
        family = self._families.get(stem) if underscore else None
        if family is not None and f"_{suffix}" in _SAMPLE_SUFFIXES.get(family.kind, ()):
            return family
        return None

    def _family(self, name: str, number: int) -> _Family:
        return self._families.setdefault(name, _Family(name, number))

    def _malformed(self, number: int, detail: str, metric: str | None = None) -> None:
        self._lines_malformed += 1
        if self._lines_malformed <= _MOST_FINDINGS:
            self._findings.append(Finding("malformed_record", self._file, number, metric, detail, refused=True))


def _name(written: str | None) -> str:
    """A metric's name as written, in quotes where it is not of the old alphabet; empty where there is none."""
    if written is None or not written.startswith('"'):
        return written or ""
    return _unescaped(written[1:-1]).strip()


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def _unit_of_name(name: str, kind: str) -> str | None:
    """The unit that a name states by Prometheus's naming conventions."""
    *words, last = name.split("_")
    accumulated = last == "total"
    if accumulated and words:
        *words, last = words
    if last in _BASE_UNITS and words and words[-1] != "per":
        return last
    if accumulated and kind == "counter" and not any(_UNIT_WORDS.fullmatch(word) for word in [*words, last]):
        return "1"
    return None
