"""Units of the real world: what the templates and catalogues of real tools spell is known, or unknown for a reason."""

from __future__ import annotations

import csv
import gzip
import html
import json
import re
import tarfile
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

from omgov_assets.model_management.units import UnitTable

# Spellings of the tools below that stay unknown, each for a reason. Whoever adds a spelling to the table removes it
# here; a new one in the data must be decided upon.
ACCEPTED_UNKNOWN = {
    "bits or bytes": {"b", "kb", "Mb", "Gb", "b/sec", r"b\s", "mbps"},
    "Celsius or coulomb, Fahrenheit or farad": {"C", "c", "![1]C", "F"},
    "a degree of temperature or of angle": {"°", "º"},
    "minutes, metres, miles or a Cyrillic look-alike of them": {"m", "м", "mi", "Min"},
    "seconds in Cyrillic or a Latin c": {"с"},
    "seconds or siemens": {"S"},
    "decibels, with a reference of its own, which UCUM has no code for": {
        *("dBm", "dbm", "dBM", "mDbm", "!dBm", "![1]dBm", "![2]dBm", "dBmV", "dBr*10", "dBuV*10", "db"),
    },
    "reactive power, which UCUM has no code for": {"VAR", "Var", "kVAR"},
    "a unit that O&M data hardly has and the table of codes lacks": {"CFM", "MPH", "in Hg"},
    "an instant, not a duration": {"unixtime"},
    "which currency, which things, which period: the letters mean several": {
        *("$", "G", "P", "T", "P/s", "t/s", "ap", "ips", "sps", "mps", "HR", "IO", "KC", "sbc", "ticks", "time"),
        *("codesperMinislots", "spreadIntervals"),
    },
    "a number in another scale": {"10A", "10V"},
    "what is measured, not in what": {"Voltage", "vcc", "state", "!QAM"},
    "no unit": {"!", "none", "sishort"},
    "a macro, whose value the template does not say": {
        "!{#UNITS}",
        '{#SENSORTYPE:regex("1"):regsub("1", "°C")}{#SENSORTYPE:regex("2"):regsub("2", "RPM")}'
        '{#SENSORTYPE:regex("3"):regsub("3", "V")}{#SENSORTYPE:regex("4"):regsub("4", "W")}',
    },
}


@pytest.fixture(scope="module")
def units(project_root: Path) -> UnitTable:
    return UnitTable.load(project_root / "governance" / "standard" / "unit_spellings.yaml")


@pytest.fixture(scope="module")
def spellings(real_data: Path) -> dict[str, Counter[str]]:
    """How often each tool's own files spell each unit."""
    flattened = real_data / "datadog" / "datadog_elements.csv.gz"
    with gzip.open(flattened, "rt", encoding="utf-8") as stream:
        words = [(row["unit_name"].strip(), row["per_unit_name"].strip()) for row in csv.DictReader(stream)]
    return {
        "zabbix": _counted(_templates(real_data / "zabbix" / "zabbix_community_templates.tar.xz")),
        "datadog": _counted([f"{unit}/{per}" if unit and per else unit for unit, per in words]),
        "datadog words": _counted([word for pair in words for word in pair]),
        "hertzbeat": _counted(_column(real_data / "catalogues" / "hertzbeat_fields.csv.gz", "unit")),
        "nightingale": _counted(_nightingale(real_data / "catalogues" / "nightingale_metrics_alerts.tar.xz")),
        "opentelemetry": _counted(_column(real_data / "catalogues" / "otel_metrics.csv.gz", "unit")),
    }


def _counted(found: list[str]) -> Counter[str]:
    return Counter(spelling.strip() for spelling in found if spelling.strip())


def _column(path: Path, column: str) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [row[column] for row in csv.DictReader(stream)]


def _texts(path: Path, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
    with tarfile.open(path) as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive if member.name.endswith(suffixes)]
        return [(name, stream.read().decode()) for name, stream in members if stream is not None]


def _templates(path: Path) -> list[str]:
    """Units of all items, prototypes and graphs, by their spelling in the raw text: parsable or not."""
    found: list[str] = []
    for name, text in _texts(path, (".xml", ".yaml", ".yml")):
        if name.endswith(".xml"):
            found += [html.unescape(unit) for unit in re.findall(r"<units>([^<]*)</units>", text)]
        else:
            found += [_unquoted(unit) for unit in re.findall(r"^ *(?:- )?units: (.*)$", text, re.MULTILINE)]
    return found


@cache
def _unquoted(scalar: str) -> str:
    return str(yaml.safe_load(scalar)) if scalar.startswith(("'", '"')) else scalar


def _nightingale(path: Path) -> list[str]:
    lists = [json.loads(text) for name, text in _texts(path, (".json",)) if "/metrics/" in name]
    return [metric["unit"] for metrics in lists for metric in metrics]


def test_the_vocabularies_are_whole(spellings: dict[str, Counter[str]]) -> None:
    assert len(spellings["zabbix"]) == 248
    # The 113th word of the pack's README is the blank.
    assert len(spellings["datadog words"]) == 112
    assert len(spellings["hertzbeat"]) == 39
    assert len(spellings["nightingale"]) == 29


def test_every_spelling_is_known_or_unknown_for_a_reason(units: UnitTable, spellings: dict[str, Counter[str]]) -> None:
    accepted = [spelling for reason in ACCEPTED_UNKNOWN.values() for spelling in reason]
    assert len(accepted) == len(set(accepted))
    unknown = {spelling for tool in spellings.values() for spelling in tool if units.ucum(spelling) is None}
    assert unknown == set(accepted)


@pytest.mark.parametrize(
    ("tool", "known_share"),
    [
        # Of what is left, `b` and `C` are seven parts in ten.
        ("zabbix", 0.844),
        ("datadog", 0.999),
        # `Mb`, which HertzBeat writes for megabytes, is three parts in four.
        ("hertzbeat", 0.799),
        # `none` and `sishort` say that there is no unit.
        ("nightingale", 0.538),
        ("opentelemetry", 1.0),
    ],
)
def test_most_occurrences_are_known(
    units: UnitTable, spellings: dict[str, Counter[str]], tool: str, known_share: float
) -> None:
    known = sum(count for spelling, count in spellings[tool].items() if units.ucum(spelling) is not None)
    assert known / spellings[tool].total() >= known_share


def test_every_spelling_with_a_degree_sign_is_that_temperature(
    units: UnitTable, spellings: dict[str, Counter[str]]
) -> None:
    temperature = re.compile(r"[°º˚℃℉]|deg|cel[cs]i|fahrenheit", re.IGNORECASE)
    found = {
        spelling: units.ucum(spelling)
        for tool in spellings.values()
        for spelling in tool
        if temperature.search(spelling) and spelling not in {"°", "º", "°C/min"} and "#" not in spelling
    }
    assert {spelling for spelling, code in found.items() if code == "[degF]"} == {
        spelling for spelling in found if "F" in spelling
    }
    assert {code for spelling, code in found.items() if "F" not in spelling} == {"Cel"}
    assert len(found) >= 12


@pytest.mark.parametrize("sign", ["°", "º"])
@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize("letter", ["C", "С"], ids=["Latin", "Cyrillic"])
def test_celsius_is_known_with_either_sign_and_in_either_alphabet(
    units: UnitTable, sign: str, space: str, letter: str
) -> None:
    assert units.ucum(f"{sign}{space}{letter}") == "Cel"


@pytest.mark.parametrize(
    ("code", "same"),
    [
        ("Cel", ["℃", "degC", "degrees C", "Celsius", "Celcius", "degree celsius", "摄氏度", "c°", "°c"]),
        ("V", ["V", "v", "Volt", "Volts", "volts", "VAC", "VDC", "В", "伏", "![3]V"]),
        ("By", ["B", "Byte", "Bytes", "byte(s)", "octets", "字节", "bytesIEC"]),
        ("By/s", ["Bps", "B/s", "Bytes/s", "bytesSecSI", "byte/second"]),
        ("bit/s", ["bps", "bits/s", "bit/s", "比特/秒"]),
        ("%", ["%", "percent", "percentage", "百分比"]),
        ("{revolution}/min", ["RPM", "rpm", "转/分"]),
        ("m", ["meters", "metre", "米"]),
        ("W/m2", ["W/M²", "W/m²"]),
        ("{BRL}", ["R$", "!R$"]),
    ],
)
def test_spellings_of_one_unit_are_one(units: UnitTable, code: str, same: list[str]) -> None:
    assert {spelling: units.ucum(spelling) for spelling in same} == dict.fromkeys(same, code)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("b", "B"),
        ("bps", "Bps"),
        ("ms", "Ms"),
        ("KB", "KiB"),
        ("MB", "MiB"),
        ("Mb", "MB"),
        ("Kbps", "KBps"),
        ("mW", "MW"),
        ("В", "B"),
        ("с", "s"),
        ("м", "m"),
        ("C", "°C"),
        ("$", "USD"),
        ("request/second", "query/second"),
    ],
)
def test_spellings_that_only_look_alike_are_never_merged(units: UnitTable, left: str, right: str) -> None:
    codes = (units.ucum(left), units.ucum(right))
    assert codes == (None, None) or codes[0] != codes[1]


def test_a_rate_of_two_words_is_the_rate_that_its_words_say(
    units: UnitTable, spellings: dict[str, Counter[str]]
) -> None:
    rates = [spelling for spelling in spellings["datadog"] if "/" in spelling]
    assert len(rates) >= 60
    for rate in rates:
        unit, per = rate.split("/")
        assert units.ucum(rate) == f"{units.ucum(unit)}/{units.ucum(per)}"
