"""Spellings of units: real ones are known, ambiguous ones are not guessed, conversions are right."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.units import Conversion, UnitTable

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def units() -> UnitTable:
    return UnitTable.load(ROOT / "governance" / "standard" / "unit_spellings.yaml")


@pytest.mark.parametrize(
    ("spelling", "code"),
    [
        ("bytes", "By"),
        ("B", "By"),
        ("字节", "By"),
        ("  Bytes\t", "By"),
        ("\u3000毫秒\u00a0", "ms"),
        ("KB", "kBy"),
        ("KiB", "KiBy"),
        ("bps", "bit/s"),
        ("Bps", "By/s"),
        ("百分比", "%"),
        ("fraction", "1"),
        ("µs", "us"),
        ("\u03bcs", "us"),
        ("℃", "Cel"),
        ("笔", "1"),
        ("次/秒", "1/s"),
        ("/s", "1/s"),
        ("requests", "{request}"),
        ("nanocore", "10*-9.{core}"),
        ("万元", "10*4.{CNY}"),
        ("Mbit/s", "Mbit/s"),
        ("{order}/s", "{order}/s"),
    ],
)
def test_a_spelling_has_one_canonical_code(units: UnitTable, spelling: str, code: str) -> None:
    assert units.ucum(spelling) == code


@pytest.mark.parametrize(
    "spelling",
    [
        "b",
        "kb",
        "Mb",
        "Gb",
        "Mb/s",
        "mbps",
        "C",
        "F",
        "G",
        "m",
        "P",
        "S",
        "none",
        "short",
        "bananas",
        "byte s",
        "BYTE",
    ],
)
def test_a_spelling_that_is_ambiguous_or_unheard_of_is_not_guessed(units: UnitTable, spelling: str) -> None:
    assert units.ucum(spelling) is None
    assert units.status(spelling, "By") == "unknown"


@pytest.mark.parametrize(("left", "right"), [("b", "B"), ("bps", "Bps"), ("ms", "Ms"), ("Mbps", "MBps"), ("kB", "KiB")])
def test_spellings_that_differ_by_case_or_base_are_not_merged(units: UnitTable, left: str, right: str) -> None:
    assert units.ucum(left) != units.ucum(right)


@pytest.mark.parametrize("spelling", [None, "", "  ", "\u3000"])
def test_an_empty_unit_is_missing(units: UnitTable, spelling: str | None) -> None:
    assert units.ucum(spelling) is None
    assert units.status(spelling, "By") == "missing"


@pytest.mark.parametrize(
    ("spelling", "standard_unit", "status"),
    [
        ("KB", "By", "ok"),
        ("KB", None, "ok"),
        ("ms", "By", "incompatible"),
        ("requests", "{order}", "incompatible"),
        ("笔", "{order}", "ok"),
        ("%", "1", "ok"),
        ("%", "{order}", "incompatible"),
        ("KB", "By/s", "incompatible"),
    ],
)
def test_the_status_compares_with_the_standard(
    units: UnitTable, spelling: str, standard_unit: str | None, status: str
) -> None:
    assert units.status(spelling, standard_unit) == status


@pytest.mark.parametrize(
    ("source", "target", "factor", "offset"),
    [
        ("KiBy", "By", 1024.0, 0.0),
        ("MBy", "KiBy", 976.5625, 0.0),
        ("bit/s", "By/s", 0.125, 0.0),
        ("By", "By", 1.0, 0.0),
        ("%", "1", 0.01, 0.0),
        ("1", "%", 100.0, 0.0),
        ("ms", "s", 0.001, 0.0),
        ("{order}/min", "{order}/s", 1 / 60, 0.0),
        ("Cel", "K", 1.0, 273.15),
        ("K", "Cel", 1.0, -273.15),
        ("Cel", "[degF]", 1.8, 32.0),
        ("[degF]", "Cel", 5 / 9, -160 / 9),
    ],
)
def test_a_conversion_is_the_nearest_double(
    units: UnitTable, source: str, target: str, factor: float, offset: float
) -> None:
    assert units.conversion(source, target) == Conversion(factor, offset)


@pytest.mark.parametrize(("source", "target"), [("By", "s"), ("By", "1"), ("nonsense", "By"), ("{order}", "{request}")])
def test_units_of_different_things_have_no_conversion(units: UnitTable, source: str, target: str) -> None:
    assert units.conversion(source, target) is None


@pytest.mark.parametrize(
    ("text", "key", "problem"),
    [
        ("- a", "spellings", "not a mapping"),
        ("spellings: {}\nother: 1", "other", "not known"),
        ("spellings:\n  bytes: Byte", "spellings.bytes", "'Byte' is not a UCUM code"),
        ("spellings:\n  bytes: 1", "spellings.bytes", "1 is not text"),
        ("spellings:\n  no: By", "spellings.False", "not read the spelling as text"),
        ("spellings:\n  ' a': By", "spellings. a", "outer spaces"),
        ("spellings:\n  ms: Ms", "spellings.ms", "itself a UCUM code"),
        ("spellings:\n  octets: By\n  octets: bit", "spellings.octets", "line 2 and in line 3"),
        ("spellings:\n  a: [", "line 3, column 1", "YAML"),
    ],
)
def test_a_mistake_in_the_table_names_file_key_and_remedy(tmp_path: Path, text: str, key: str, problem: str) -> None:
    path = tmp_path / "unit_spellings.yaml"
    path.write_text(text + "\n", encoding="utf-8")
    with pytest.raises(GovernanceError) as caught:
        UnitTable.load(path)
    assert (caught.value.path, caught.value.key) == (path, key)
    assert problem in caught.value.problem
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: {key}: ")


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="missing"):
        UnitTable.load(tmp_path / "unit_spellings.yaml")


@pytest.mark.parametrize(
    ("file", "column", "known_share"),
    [
        ("datadog/datadog_elements.csv.gz", "unit_name", 0.998),
        ("catalogues/otel_metrics.csv.gz", "unit", 1.0),
        ("catalogues/hertzbeat_fields.csv.gz", "unit", 0.79),
        ("zabbix/zabbix_community_items.csv.gz", "units", 0.83),
    ],
)
def test_units_of_real_catalogues_are_known(
    units: UnitTable, file: str, column: str, known_share: float, real_data: Path
) -> None:
    """The rest is ambiguous (`b` and `C` make two thirds of what Zabbix templates leave unknown)."""
    with gzip.open(real_data / file, "rt", encoding="utf-8") as stream:
        spellings = Counter(row[column] for row in csv.DictReader(stream) if row[column].strip())
    known = sum(count for spelling, count in spellings.items() if units.ucum(spelling) is not None)
    assert known / spellings.total() >= known_share
