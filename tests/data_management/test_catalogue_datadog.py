"""Datadog's catalogue is read as it stands: counts equal those of the raw files, lines are those of an editor."""

from __future__ import annotations

import csv
import gzip
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from omgov_assets.data_management.catalogues.datadog import INSTRUMENTS, READER
from omgov_assets.data_management.catalogues.entries import CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.importing import read_catalogue
from omgov_assets.model_management.units import UnitTable

NEWEST = ("datadog_core_2025-09-16.tar.xz", "datadog_extras_2026-08-21.tar.xz")
HEADER = "metric_name,metric_type,interval,unit_name,per_unit_name,description,orientation,integration,short_name"


def read(text: str) -> tuple[list[CatalogueEntry], list[Finding]]:
    items = list(READER.read(CatalogueFile("x/metadata.csv", text.encode())))
    entries = [item for item in items if isinstance(item, CatalogueEntry)]
    return entries, [item for item in items if isinstance(item, Finding)]


@pytest.fixture(scope="module")
def newest(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest snapshots of both repositories, unpacked into one folder."""
    folder = tmp_path_factory.mktemp("datadog")
    for name in NEWEST:
        with tarfile.open(real_data / "datadog" / name) as archive:
            archive.extractall(folder / name.split("_")[1], filter="data")
    return folder


@pytest.fixture(scope="module")
def raw(newest: Path) -> list[dict[str, str]]:
    """All lines of the raw files, by the csv module alone."""
    rows = []
    for path in sorted(newest.rglob("metadata.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            rows += [{"file": path.relative_to(newest).as_posix(), **row} for row in csv.DictReader(stream)]
    return rows


@pytest.fixture(scope="module")
def catalogue(newest: Path, project_root: Path) -> tuple[list[CatalogueEntry], Counter[str]]:
    units = UnitTable.load(project_root / "governance" / "standard" / "unit_spellings.yaml")
    entries, findings = read_catalogue(newest, CatalogueFormat.DATADOG, units)
    return entries, Counter(finding.kind for finding in findings)


def test_every_line_of_the_real_catalogue_is_a_definition(raw, catalogue) -> None:
    entries, _ = catalogue
    assert len(entries) == len(raw) == 19_125
    expected = [
        (
            row["file"],
            row["metric_name"],
            row["short_name"].strip() or None,
            (row["unit_name"] + ("/" + row["per_unit_name"] if row["per_unit_name"] else "")) or None
            if row["unit_name"]
            else None,
            INSTRUMENTS[row["metric_type"]],
            int(row["interval"] or 0) or None,
        )
        for row in raw
    ]
    found = [(e.file, e.source_metric, e.display_name, e.source_unit, e.instrument, e.interval_s) for e in entries]
    assert Counter(found) == Counter(expected)


def test_the_known_dirt_is_found_and_counted(raw, catalogue) -> None:
    _, found = catalogue
    zero = sum(row["interval"] == "0" for row in raw)
    assert found["unit_missing"] == sum(not row["unit_name"] for row in raw) == 8_495
    assert sum(not row["interval"] for row in raw) == 17_441
    assert found["interval_missing"] == 17_441 + zero
    assert found["interval_unreadable"] == zero == 63
    assert found["description_missing"] == sum(not row["description"].strip() for row in raw) == 2_029
    rates = sum(row["metric_type"] == "rate" and not row["per_unit_name"] for row in raw)
    assert found["rate_without_divisor"] == rates == 138
    assert found["name_duplicate"] == len(raw) - len({row["metric_name"] for row in raw}) == 92
    assert found["divisor_without_unit"] == sum(bool(row["per_unit_name"]) and not row["unit_name"] for row in raw)
    assert not {"malformed_record", "unparsable_file", "type_missing", "type_unknown"} & found.keys()


def test_one_metric_with_two_units_is_told_with_both_places(raw, newest: Path) -> None:
    _, findings = read_catalogue(newest, CatalogueFormat.DATADOG)
    units: dict[str, str] = {}
    expected = 0
    for row in raw:
        unit = row["unit_name"] + ("/" + row["per_unit_name"] if row["per_unit_name"] else "")
        if row["unit_name"]:
            expected += units.setdefault(row["metric_name"], unit) != unit
    conflicts = [finding for finding in findings if finding.kind == "unit_conflict"]
    assert len(conflicts) == expected
    assert all(", but '" in finding.detail and "metadata.csv:" in finding.detail for finding in conflicts)


def test_lines_are_those_of_the_file(newest: Path, catalogue) -> None:
    lines = {}
    for path in newest.rglob("metadata.csv"):
        lines[path.relative_to(newest).as_posix()] = path.read_text(encoding="utf-8").splitlines()
    for entry in catalogue[0]:
        assert lines[entry.file][entry.line - 1].lstrip('"').startswith(entry.source_metric)


def test_the_order_of_the_columns_and_further_ones_do_not_matter() -> None:
    entries, findings = read(
        "unit_name,metric_type,invented,metric_name,per_unit_name,interval\nbyte,rate,x,a.b,second,10\n"
    )
    assert not findings
    assert [(e.source_metric, e.source_unit, e.instrument, e.interval_s) for e in entries] == [
        ("a.b", "byte/second", "gauge", 10)
    ]


def test_a_description_over_several_lines_does_not_shift_the_line_numbers() -> None:
    entries, findings = read(f'{HEADER}\na,gauge,,,,"one\ntwo\nthree",0,x,\n\nb,count,,,,,0,x,\n')
    assert not findings
    assert [(e.source_metric, e.line) for e in entries] == [("a", 2), ("b", 6)]


def test_windows_line_ends_and_a_byte_order_mark_are_no_content() -> None:
    text = "\ufeff" + f"{HEADER}\na,gauge,10,byte,,text,0,x,short\n".replace("\n", "\r\n")
    entries, findings = read(text)
    assert not findings
    assert entries == [CatalogueEntry("x/metadata.csv", 2, "a", "short", "text", "byte", "gauge", interval_s=10)]


def test_a_type_that_datadog_does_not_have_is_told() -> None:
    entries, findings = read(f"{HEADER}\na,guage,,,,,0,x,\n")
    assert [e.instrument for e in entries] == [None]
    assert [(f.kind, f.line, f.detail, f.refused) for f in findings] == [
        ("type_unknown", 2, "metric_type is 'guage'", False)
    ]


@pytest.mark.parametrize("interval", ["0", "-5", "1.5", "10s", "٣", "9999999999"])
def test_an_interval_that_is_no_number_of_seconds_is_told_and_not_guessed(interval: str) -> None:
    entries, findings = read(f"{HEADER}\na,gauge,{interval},,,,0,x,\n")
    assert [e.interval_s for e in entries] == [None]
    assert [f.kind for f in findings] == ["interval_unreadable"]


def test_the_flattened_catalogue_in_one_packed_file_reads_as_well(real_data: Path) -> None:
    path = real_data / "datadog" / "datadog_elements.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        names = [row["metric_name"] for row in csv.DictReader(stream)]
    entries, _ = read_catalogue(path, CatalogueFormat.DATADOG)
    assert [entry.source_metric for entry in entries] == names
    assert len(names) == 29_352
