"""Importing a catalogue: its definitions through the gate into the lake, and a report of what was wrong with it.

Here are the checks that every tool's catalogue undergoes, the Parquet file that the gate judges, and the report. Does
not belong here: a tool's syntax (the readers) and the folder of a new business system (``scaffolding``).
"""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omgov_assets.admission.gate import admit_deliveries, judge_of
from omgov_assets.admission.ledger import close_admission
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.catalogues.entries import (
    CONTROL_CHARACTERS,
    FINDING_KINDS,
    CatalogueEntry,
    Finding,
    shown,
)
from omgov_assets.data_management.catalogues.formats import CatalogueFormat, reader_of
from omgov_assets.data_management.catalogues.scaffolding import DATASET, ensure_system, parquet_type, standing_file
from omgov_assets.data_management.catalogues.sources import LIMITS, Limits, MissingCatalogueError, catalogue_files
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.units import UnitTable

NAME_CHARACTERS = 512
MAX_DEFINITIONS = 1_000_000
MAX_FINDINGS = 2_000_000

REPORT_COLUMNS = ("kind", "file", "line", "source_metric", "detail", "refused")

_TEXTS = ("display_name", "description", "source_unit", "ci_class", "renamed_to")


@dataclass(frozen=True)
class ImportResult:
    """What came of an import.

    Attributes:
        definitions: definitions read and given to the gate.
        findings: what was wrong with the catalogue.
        batch: ledger entry of the batch; None where the catalogue holds no definition.
        report: the findings as CSV.
        scaffolded: folder of the business system, where it was made for this import.
    """

    definitions: int
    findings: tuple[Finding, ...]
    batch: dict[str, Any] | None
    report: Path
    scaffolded: Path | None

    @property
    def clean(self) -> bool:
        """Whether nothing was refused, neither by the reader nor by the gate."""
        admitted = self.batch is not None and self.batch["decision"] == "admitted"
        return admitted and not any(finding.refused for finding in self.findings)


def import_catalogue(
    settings: Settings,
    lake: Lake,
    governance: Governance,
    path: Path,
    catalogue_format: CatalogueFormat,
    system: str,
    day: date,
    *,
    owner: str | None = None,
    title: str | None = None,
) -> ImportResult:
    """Import a catalogue as the metric definitions of a business system on a day.

    The same catalogue imported again changes nothing; another one replaces the day's first. The last import stands as
    the delivery of every following day, until another is made.

    Args:
        settings: where landing, report and project are.
        lake: the lake.
        governance: control information.
        path: folder, file or archive; see ``catalogue_files``.
        catalogue_format: the tool's format.
        system: business system; its folder is made where there is none.
        day: business day.
        owner: who answers for the system; used where its folder is made.
        title: the system's name for people; used where its folder is made.

    Raises:
        MissingCatalogueError: nothing at the path is a file of the format.
        RefusedImportError: the system delivers its definitions in another way, or its name is none.
        GovernanceError: a file under ``governance/`` cannot be used.
    """
    entries, findings = read_catalogue(path, catalogue_format, governance.units)
    batch = None
    scaffolded = None
    if entries:
        governance, scaffolded = ensure_system(governance, system, owner, title)
        business = governance.systems[system]
        dataset = business.datasets[DATASET]
        standing = settings.home / standing_file(system)
        write_definitions(standing, entries, governance.contracts[DATASET])
        landed = settings.landing / system / DATASET / day.isoformat() / standing.name
        landed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(standing, landed)
        with lake.connect() as con:
            judge = judge_of(governance, business, dataset)
            [batch] = admit_deliveries(con, lake, judge, day, [landed], settings.landing)
            close_admission(con, lake, judge, day)
    report = settings.report / "catalogues" / f"{system}-{day}.csv"
    write_report(report, findings)
    return ImportResult(len(entries), tuple(findings), batch, report, scaffolded)


def read_catalogue(
    path: Path, catalogue_format: CatalogueFormat, units: UnitTable | None = None, limits: Limits = LIMITS
) -> tuple[list[CatalogueEntry], list[Finding]]:
    """Definitions and findings of a catalogue, in the order of file names and lines.

    Args:
        path: folder, file or archive.
        catalogue_format: the tool's format.
        units: spellings that the firm knows; without them no unit is judged.
        limits: how much is read at most.

    Raises:
        MissingCatalogueError: nothing at the path is a file of the format.
    """
    reader = reader_of(catalogue_format)
    checks = _Checks(units)
    entries: list[CatalogueEntry] = []
    findings: list[Finding] = []
    file = None
    for file in catalogue_files(path, reader.wants, limits):
        if isinstance(file, Finding):
            findings.append(file)
            continue
        for item in reader.read(file):
            if isinstance(item, Finding):
                findings.append(_presentable(item))
            else:
                faults = list(checks.faults(item))
                findings += faults
                if not any(fault.refused for fault in faults):
                    entries.append(item)
            if len(entries) >= MAX_DEFINITIONS or len(findings) >= MAX_FINDINGS:
                findings.append(_stopped(file.name, item.line))
                return entries, findings
    if file is None:
        raise MissingCatalogueError(
            f"{path} holds no file of format {catalogue_format}; correct the path or the format"
        )
    return entries, findings


def count_findings(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    """Findings by kind, in the order of ``FINDING_KINDS``: kind, count, refused, and one example of each."""
    counts = Counter(finding.kind for finding in findings)
    refused = Counter(finding.kind for finding in findings if finding.refused)
    examples: dict[str, Finding] = {}
    for finding in findings:
        examples.setdefault(finding.kind, finding)
    order = {kind: position for position, kind in enumerate(FINDING_KINDS)}
    return [
        {
            "kind": kind,
            "findings": counts[kind],
            "refused": refused[kind],
            "example_file": examples[kind].file,
            "example_line": examples[kind].line,
            "example_metric": examples[kind].source_metric,
            "example": examples[kind].detail,
        }
        for kind in sorted(counts, key=lambda kind: (order.get(kind, len(order)), kind))
    ]


def write_definitions(path: Path, entries: list[CatalogueEntry], contract: DataContract) -> None:
    """Write definitions as a delivery: the same definitions are the same bytes."""
    fields = [pa.field(column.name, parquet_type(column)) for column in contract.conform_columns]
    schema = pa.schema(fields)
    columns = [[getattr(entry, field.name, None) for entry in entries] for field in fields]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), partial, compression="zstd")
    partial.replace(path)


def write_report(path: Path, findings: list[Finding]) -> None:
    """Write findings as CSV: kind, file, line, source_metric, detail, refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with partial.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(REPORT_COLUMNS)
        writer.writerows(
            (f.kind, f.file, f.line, f.source_metric or "", f.detail, str(f.refused).lower()) for f in findings
        )
    partial.replace(path)


@dataclass(slots=True)
class _Stated:
    """Where a metric was first stated, and the first unit and types that any statement of it gave."""

    place: str
    unit: tuple[str, str] | None = None
    instrument: tuple[str, str] | None = None
    value_type: tuple[str, str] | None = None


class _Checks:
    """What is checked of every definition, whichever the tool."""

    def __init__(self, units: UnitTable | None) -> None:
        self._units = units
        self._codes: dict[str, str | None] = {}
        self._stated: dict[str, _Stated] = {}

    def faults(self, entry: CatalogueEntry) -> Iterator[Finding]:
        """What is wrong with a definition; one that is refused is not remembered."""
        kind, detail = _name_fault(entry.source_metric)
        if kind:
            yield _finding(kind, entry, detail, refused=True)
            return
        spoilt = next((name for name in _TEXTS if not _is_storable(getattr(entry, name))), None)
        if spoilt:
            yield _finding("text_invalid", entry, f"{spoilt} is no Unicode text", refused=True)
            return
        yield from self._unit_faults(entry)
        if entry.instrument is None and entry.value_type is None:
            yield _finding("type_missing", entry, "neither instrument nor value type is stated")
        if entry.interval_s is None:
            yield _finding("interval_missing", entry, "no interval in seconds")
        if entry.description is None:
            yield _finding("description_missing", entry, "no description")
        yield from self._conflicts(entry)

    def _unit_faults(self, entry: CatalogueEntry) -> Iterator[Finding]:
        unit = entry.source_unit
        if unit is None or not unit.strip():
            yield _finding("unit_missing", entry, "no unit")
            return
        if self._units is None:
            return
        if unit not in self._codes:
            self._codes[unit] = self._units.ucum(unit)
        code = self._codes[unit]
        if code is None:
            yield _finding("unit_unknown", entry, f"unit '{shown(unit)}'")
        elif entry.instrument == "counter" and _cannot_be_counted(code, self._units):
            yield _finding("type_against_unit", entry, f"a counter in '{shown(unit)}', which is a rate or a level")

    def _conflicts(self, entry: CatalogueEntry) -> Iterator[Finding]:
        place = f"{entry.file}:{entry.line}"
        stated = self._stated.get(entry.source_metric)
        if stated is None:
            stated = self._stated[entry.source_metric] = _Stated(place)
        else:
            yield _finding("name_duplicate", entry, f"defined before at {stated.place}")
        for kind, attribute, value in (
            ("unit_conflict", "unit", (entry.source_unit or "").strip()),
            ("type_conflict", "instrument", entry.instrument),
            ("type_conflict", "value_type", entry.value_type),
        ):
            if not value:
                continue
            before = getattr(stated, attribute)
            if before is None:
                setattr(stated, attribute, (value, place))
            elif before[0] != value:
                words = attribute.replace("_", " ")
                yield _finding(kind, entry, f"{words} '{shown(value)}', but '{shown(before[0])}' at {before[1]}")


def _cannot_be_counted(code: str, units: UnitTable) -> bool:
    """Whether a sum over time has no such unit: a change per time, a share, a temperature."""
    return (
        code.endswith(("/s", "/min", "/h", "/d"))
        or code == "%"
        or units.conversion(code, "Hz") is not None
        or units.conversion(code, "K") is not None
    )


def _name_fault(name: str) -> tuple[str | None, str]:
    if not name.strip():
        return "name_missing", "the name is empty"
    if len(name) > NAME_CHARACTERS:
        return "name_invalid", f"a name of {len(name):,} characters: '{shown(name)}'"
    if CONTROL_CHARACTERS.search(name):
        return "name_invalid", f"a name with control characters: '{shown(name)}'"
    return None, ""


def _is_storable(text: str | None) -> bool:
    """Whether a text can be written as UTF-8: JSON can name half a surrogate pair."""
    if text is None or text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _finding(kind: str, entry: CatalogueEntry, detail: str, *, refused: bool = False) -> Finding:
    return Finding(kind, entry.file, entry.line, shown(entry.source_metric) or None, detail, refused)


def _presentable(finding: Finding) -> Finding:
    """A reader's finding with a name that a report can carry, where it does not have one already."""
    name = finding.source_metric
    if name is None or (len(name) < NAME_CHARACTERS and not CONTROL_CHARACTERS.search(name)):
        return finding
    return replace(finding, source_metric=shown(name))


def _stopped(file: str, line: int) -> Finding:
    detail = f"more than {MAX_DEFINITIONS:,} definitions or {MAX_FINDINGS:,} findings: the rest was not read"
    return Finding("catalogue_too_large", file, line, None, detail, refused=True)
