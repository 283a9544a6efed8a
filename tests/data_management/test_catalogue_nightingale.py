"""Nightingale's metric lists: every metric of the real ones is read as it stands, and no content makes it raise."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.data_management.catalogues.entries import FINDING_KINDS, CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.nightingale import READER

METRIC: dict[str, Any] = {
    "name": "内存使用率",
    "unit": "percent",
    "note": "",
    "expression": "mem_used_percent",
    "metric_type": "gauge",
    "translation": [
        {"lang": "en_US", "name": "Memory usage", "note": "Share of memory in use."},
        {"lang": "zh_CN", "name": "内存使用率", "note": ""},
    ],
}
NAME = "integrations/Linux/metrics/base.json"


def read(content: str | bytes, name: str = NAME) -> tuple[list[CatalogueEntry], list[Finding]]:
    data = content.encode() if isinstance(content, str) else content
    items = list(READER.read(CatalogueFile(name, data)))
    assert {item.kind for item in items if isinstance(item, Finding)} <= set(FINDING_KINDS)
    entries = [item for item in items if isinstance(item, CatalogueEntry)]
    return entries, [item for item in items if isinstance(item, Finding)]


def changed(**changes: Any) -> str:
    """The sound metric in a list, its keys replaced, or left out where the change is the type ``object``."""
    metric = {**METRIC, **changes}
    return json.dumps([{key: value for key, value in metric.items() if value is not object}])


@pytest.fixture(scope="module")
def lists(real_data: Path) -> dict[str, bytes]:
    with tarfile.open(real_data / "catalogues" / "nightingale_metrics_alerts.tar.xz") as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {name: stream.read() for name, stream in members if stream is not None and READER.wants(name)}


@pytest.fixture(scope="module")
def stated(lists: dict[str, bytes]) -> list[dict[str, Any]]:
    """The metrics of the raw files, by json alone."""
    return [{**metric, "file": name} for name, content in lists.items() for metric in json.loads(content)]


def test_every_metric_is_read_as_it_stands(lists: dict[str, bytes], stated: list[dict[str, Any]]) -> None:
    def row(metric: dict[str, Any]) -> tuple[Any, ...]:
        names = {part["lang"]: part["name"].strip() for part in metric["translation"]}
        notes = [metric["note"], *(part["note"] for part in metric["translation"])]
        return (
            metric["file"],
            " ".join(line.strip() for line in metric["expression"].strip().splitlines() if line.strip()),
            " / ".join(dict.fromkeys([names["zh_CN"], names["en_US"]])),
            next((note.strip() for note in notes if note.strip()), None),
            None if metric["unit"] in ("", "none") else metric["unit"],
            metric["metric_type"] or None,
        )

    entries: list[CatalogueEntry] = []
    for name, content in lists.items():
        of_file, findings = read(content, name)
        assert not findings
        entries += of_file
    assert Counter(
        (e.file, e.source_metric, e.display_name, e.description, e.source_unit, e.instrument) for e in entries
    ) == Counter(row(metric) for metric in stated)
    # The pack holds the lists of 9 integrations, 379 metrics; upstream's 1,377 metrics (815 of them without a unit)
    # cannot be recounted from it.
    assert len(entries) == 379
    assert sum(entry.source_unit is None for entry in entries) == 113 + 11
    assert len(entries) - len({entry.source_metric for entry in entries}) == 12


def test_lines_are_those_where_the_objects_begin(lists: dict[str, bytes]) -> None:
    for name, content in lists.items():
        lines = content.decode().splitlines()
        begins = [number for number, line in enumerate(lines, 1) if re.fullmatch(r"\s{1,4}\{", line)]
        assert [entry.line for entry in read(content, name)[0]] == begins


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("integrations/Linux/metrics/base.json", True),
        ("metrics/base.json", True),
        ("base.json", True),
        ("integrations/Linux/alerts/base.json", False),
        ("integrations/Linux/metrics/base.toml", False),
    ],
)
def test_only_lists_of_metrics_are_wanted(name: str, wanted: bool) -> None:
    assert READER.wants(name) is wanted


def test_a_metric_becomes_an_entry() -> None:
    assert read(changed()) == (
        [
            CatalogueEntry(
                file=NAME,
                line=1,
                source_metric="mem_used_percent",
                display_name="内存使用率 / Memory usage",
                description="Share of memory in use.",
                source_unit="percent",
                instrument="gauge",
            )
        ],
        [],
    )


@pytest.mark.parametrize("unit", ["", " ", "none", "None", None, object])
def test_no_unit_is_missing_however_it_is_said(unit: object) -> None:
    [entry], findings = read(changed(unit=unit))
    assert entry.source_unit is None
    assert not findings


def test_an_expression_over_several_lines_is_one_line() -> None:
    [entry], findings = read(changed(expression='sum(\r\n    rate(x{a="b  c"}[1m])\n\n)\n'))
    assert entry.source_metric == 'sum( rate(x{a="b  c"}[1m]) )'
    assert not findings


@pytest.mark.parametrize("blanks", [" " * 400_000, " \n" * 200_000, "\t" * 400_000])
def test_an_expression_of_blanks_is_judged_at_once(blanks: str) -> None:
    assert len(read(changed(expression=f"a{blanks}b"))[0]) == 1


def test_a_metric_without_translations_has_its_one_name() -> None:
    assert [entry.display_name for entry in read(changed(translation=object))[0]] == ["内存使用率"]
    assert [entry.display_name for entry in read(changed(translation=None))[0]] == ["内存使用率"]


@pytest.mark.parametrize(
    ("changes", "kind", "refused"),
    [
        ({"expression": object}, "name_missing", True),
        ({"expression": " "}, "name_missing", True),
        ({"expression": 5}, "malformed_record", True),
        ({"expression": ["up"]}, "malformed_record", True),
        ({"expression": "up\ud800"}, "malformed_record", True),
        ({"name": "\udfff"}, "malformed_record", False),
        ({"unit": 1}, "malformed_record", False),
        ({"note": {"a": "b"}}, "malformed_record", False),
        ({"translation": {"lang": "zh_CN"}}, "malformed_record", False),
        ({"metric_type": "meter"}, "type_unknown", False),
    ],
)
def test_a_mistake_gives_a_finding(changes: dict[str, Any], kind: str, refused: bool) -> None:
    entries, findings = read(changed(**changes))
    assert [(finding.kind, finding.line, finding.refused) for finding in findings] == [(kind, 1, refused)]
    assert len(entries) == (not refused)


def test_a_key_that_stands_twice_is_found() -> None:
    [entry], [finding] = read('[\n{"expression": "up", "unit": "s", "unit": "ms"}]')
    assert entry.source_unit == "ms"
    assert (finding.kind, finding.line, finding.source_metric) == ("malformed_record", 2, "up")
    assert "'unit'" in finding.detail


def test_the_other_metrics_of_a_list_with_a_stranger_are_read() -> None:
    entries, findings = read('[\n1,\n{"expression": "up"},\n[]]')
    assert [(entry.source_metric, entry.line) for entry in entries] == [("up", 3)]
    assert [(finding.kind, finding.line, finding.refused) for finding in findings] == [
        ("malformed_record", 2, True),
        ("malformed_record", 4, True),
    ]


@pytest.mark.parametrize("content", ["[]", " [ ] \n", "\ufeff[]"])
def test_an_empty_list_is_sound(content: str) -> None:
    assert read(content) == ([], [])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", 1),
        ("{}", 1),
        ("[\n{]", 2),
        ('[{"expression": "up"}\n', 2),
        ('[{"expression": "up"},\n]', 2),
        ("[1\n2]", 2),
        ("[]\n[]", 2),
        ("[1]\nx", 2),
        ("[" * 100_000, 0),
        ('{"a":' * 100_000, 1),
        ("[" + "1" * 10_000 + "]", 0),
        ('[{"expression": "a\nb"}]', 1),
    ],
)
def test_a_file_that_is_no_list_is_refused_whole(content: str, line: int) -> None:
    entries, [finding] = read(content)
    assert not entries
    assert (finding.kind, finding.line, finding.refused) == ("unparsable_file", line, True)
    assert len(finding.detail) < 300


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(content: bytes) -> None:
    read(content)
    read(b"[" + content + b"]")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["zh_CN", "up"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "unit", "note", "expression", "metric_type", "translation", "lang"]), inner
        )
    ),
    max_leaves=10,
)


@given(st.lists(_VALUES))
def test_any_list_of_any_values_never_raises_and_names_every_entry(metrics: list[Any]) -> None:
    entries, findings = read(json.dumps(metrics))
    assert all(entry.source_metric.strip() for entry in entries)
    for entry in entries:
        "".join(text for text in (entry.source_metric, entry.display_name, entry.description) if text).encode()
    assert all(finding.line == 1 and finding.detail for finding in findings)
