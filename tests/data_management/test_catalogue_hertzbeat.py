"""HertzBeat's templates: every numeric field of the real ones is read as it stands, and no content makes it raise."""

from __future__ import annotations

import csv
import gzip
import tarfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.data_management.catalogues.entries import FINDING_KINDS, CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.hertzbeat import READER

SOUND = """\
category: custom
app: shop
metrics:
  - name: cpu
    i18n: {zh-CN: 处理器, en-US: CPU}
    interval: 30
    fields:
      - field: usage
        type: 0
        unit: MB
        i18n:
          zh-CN: 使用量
          en-US: Usage
    units:
      - usage=B->MB
"""


def read(content: str | bytes, name: str = "define/app-shop.yml") -> tuple[list[CatalogueEntry], list[Finding]]:
    data = content.encode() if isinstance(content, str) else content
    items = list(READER.read(CatalogueFile(name, data)))
    assert {item.kind for item in items if isinstance(item, Finding)} <= set(FINDING_KINDS)
    entries = [item for item in items if isinstance(item, CatalogueEntry)]
    return entries, [item for item in items if isinstance(item, Finding)]


@pytest.fixture(scope="module")
def templates(real_data: Path) -> dict[str, bytes]:
    with tarfile.open(real_data / "catalogues" / "hertzbeat_define.tar.xz") as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {name: stream.read() for name, stream in members if stream is not None and READER.wants(name)}


@pytest.fixture(scope="module")
def stated(templates: dict[str, bytes]) -> list[dict[str, Any]]:
    """All fields of the raw files, by PyYAML alone."""
    found: list[dict[str, Any]] = []
    for name, content in templates.items():
        template = yaml.load(content, Loader=yaml.CSafeLoader)
        for metric_set in template["metrics"]:
            units = dict(rule.split("=", 1) for rule in metric_set.get("units") or [])
            for field in metric_set.get("fields") or []:
                metric = f"{template['app']}.{metric_set['name']}.{field['field']}"
                interval = metric_set.get("interval")
                rule = units.get(field["field"])
                found.append({**field, "file": name, "metric": metric, "interval": interval, "rule": rule})
    return found


@pytest.fixture(scope="module")
def results(templates: dict[str, bytes]) -> tuple[list[CatalogueEntry], list[Finding]]:
    entries: list[CatalogueEntry] = []
    findings: list[Finding] = []
    for name, content in templates.items():
        of_file = read(content, name)
        entries += of_file[0]
        findings += of_file[1]
    return entries, findings


def test_every_numeric_field_is_read_as_it_stands(
    results: tuple[list[CatalogueEntry], list[Finding]], stated: list[dict[str, Any]]
) -> None:
    def display_name(field: dict[str, Any]) -> str | None:
        names = field.get("i18n") or {}
        found = [names[language].strip() for language in ("zh-CN", "en-US") if names.get(language)]
        return " / ".join(dict.fromkeys(found)) or None

    numeric = [field for field in stated if field.get("type") == 0]
    assert Counter(
        (e.file, e.source_metric, e.source_unit, e.display_name, e.interval_s, e.status) for e in results[0]
    ) == Counter((f["file"], f["metric"], f.get("unit"), display_name(f), f["interval"], "active") for f in numeric)
    # The pack holds 2,534 of upstream's 4,272 fields; the figures of its README for the others cannot be recounted.
    assert (len(stated), len(numeric)) == (2_534, 1_444)
    assert sum(entry.source_unit is None for entry in results[0]) == 982


def test_the_flattened_catalogue_has_the_same_fields(
    results: tuple[list[CatalogueEntry], list[Finding]], real_data: Path
) -> None:
    with gzip.open(real_data / "catalogues" / "hertzbeat_fields.csv.gz", "rt", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["type"] == "0"]
    flattened = Counter((f"{row['app']}.{row['metric_set']}.{row['field']}", row["unit"]) for row in rows)
    assert Counter((entry.source_metric, entry.source_unit or "") for entry in results[0]) == flattened


def test_fields_that_are_no_numbers_are_refused_and_counted(
    results: tuple[list[CatalogueEntry], list[Finding]], stated: list[dict[str, Any]]
) -> None:
    refused = Counter(finding.kind for finding in results[1] if finding.refused)
    assert refused == {"not_numeric": sum(field.get("type") != 0 for field in stated), "malformed_record": 1}
    untyped = sum("no type is stated" in finding.detail for finding in results[1])
    assert untyped == sum("type" not in field for field in stated) == 191


def test_a_unit_that_its_conversion_contradicts_is_found(
    results: tuple[list[CatalogueEntry], list[Finding]], stated: list[dict[str, Any]]
) -> None:
    """`Mb` is the megabit: 20 fields are converted to MB and shown as Mb."""
    contradicted = [
        field["metric"]
        for field in stated
        if field["rule"] and field.get("type") == 0 and field["unit"] == "Mb" and field["rule"].endswith("->MB")
    ]
    found = [finding.source_metric for finding in results[1] if finding.kind == "unit_conflict"]
    assert found == contradicted
    assert len(found) == 20


def test_a_number_that_is_a_label_and_a_misplaced_unit_are_found(
    results: tuple[list[CatalogueEntry], list[Finding]], stated: list[dict[str, Any]]
) -> None:
    details = Counter(finding.detail for finding in results[1] if finding.kind == "malformed_record")
    labels = sum(field.get("label") is True and field.get("type") == 0 for field in stated)
    assert details["a number and a label at once: HertzBeat keeps it as a label only"] == labels == 23
    misplaced = sum("unit" in (field.get("i18n") or {}) for field in stated)
    assert details["i18n holds 'unit', which is no language"] == misplaced == 1


def test_chinese_names_are_read_that_mean_different_units(
    results: tuple[list[CatalogueEntry], list[Finding]],
) -> None:
    """使用率 is a share, kilobytes or megabytes, as the template likes."""
    units = defaultdict(set)
    for entry in results[0]:
        if entry.display_name and entry.source_unit:
            units[entry.display_name.partition(" / ")[0]].add(entry.source_unit)
    assert {name: spellings for name, spellings in units.items() if len(spellings) > 1} == {
        "使用率": {"%", "MB", "KB"},
        "总量": {"kb", "Mb"},
        "运行时间": {"ms", "s"},
        "内存使用量": {"%", "MB"},
        "接口速率": {"MB/s", "Mbps"},
        "入流量": {"MByte", "Kbps"},
        "出流量": {"MByte", "Kbps"},
    }


def test_lines_are_those_of_the_fields(
    results: tuple[list[CatalogueEntry], list[Finding]], templates: dict[str, bytes]
) -> None:
    lines = {name: content.decode().splitlines() for name, content in templates.items()}
    for entry in results[0]:
        field = lines[entry.file][entry.line - 1].partition(" #")[0].strip()
        assert field.startswith("- field:")
        assert entry.source_metric.endswith("." + field.removeprefix("- field:").strip().strip("'\""))


@pytest.mark.parametrize(
    ("name", "wanted"), [("define/app-mysql.yml", True), ("app-x.yaml", True), ("param.yml", False), ("app.yml", False)]
)
def test_only_templates_are_wanted(name: str, wanted: bool) -> None:
    assert READER.wants(name) is wanted


def test_a_field_becomes_an_entry() -> None:
    entries, findings = read(SOUND)
    assert entries == [
        CatalogueEntry(
            file="define/app-shop.yml",
            line=8,
            source_metric="shop.cpu.usage",
            display_name="使用量 / Usage",
            source_unit="MB",
            interval_s=30,
        )
    ]
    assert not findings


@pytest.mark.parametrize(
    ("before", "after", "kind", "line", "refused"),
    [
        ("app: shop\n", "", "malformed_record", 1, True),
        ("app: shop", "app: [shop]", "malformed_record", 1, True),
        ("metrics:", "metrics: none\nother:", "malformed_record", 3, True),
        ("    fields:", "    columns:", "malformed_record", 4, True),
        ("  - name: cpu", "  - title: cpu", "malformed_record", 4, True),
        ("fields:\n", "fields:\n      - usage\n", "malformed_record", 8, True),
        ("field: usage", "field: ''", "name_missing", 8, True),
        ("field: usage", "field: {a: b}", "name_missing", 8, True),
        ("type: 0", "type: 1", "not_numeric", 8, True),
        ("type: 0", "type: 3", "not_numeric", 8, True),
        ("        type: 0\n", "", "not_numeric", 8, True),
        ("type: 0", "type: number", "type_unknown", 9, True),
        ("type: 0", "type: [0]", "type_unknown", 9, True),
        ("unit: MB", "unit: [MB]", "malformed_record", 10, False),
        ("unit: MB", "unit: Mb", "unit_conflict", 8, False),
        ("type: 0", "type: 0\n        label: true", "malformed_record", 8, False),
        ("type: 0", "type: 1\n        type: 0", "malformed_record", 8, False),
        ("          en-US: Usage", "          unit: MB", "malformed_record", 12, False),
        ("interval: 30", "interval: often", "interval_unreadable", 6, False),
        ("interval: 30", "interval: 0", "interval_unreadable", 6, False),
        ("category: custom", "category: {", "unparsable_file", 3, True),
    ],
)
def test_a_mistake_gives_a_finding_with_its_line(before: str, after: str, kind: str, line: int, refused: bool) -> None:
    assert before in SOUND
    entries, findings = read(SOUND.replace(before, after))
    assert [(finding.kind, finding.line, finding.refused) for finding in findings] == [(kind, line, refused)]
    assert len(entries) == (0 if refused and "- usage" not in after else 1)


def test_times_are_converted_to_units_in_capitals_without_a_conflict() -> None:
    assert not read(SOUND.replace("unit: MB", "unit: s").replace("B->MB", "NS->S"))[1]


def test_aliases_that_unfold_without_end_are_refused() -> None:
    fields = "fields: &f\n" + "      - {field: a, type: 0}\n" * 3_000
    text = "app: a\nmetrics:\n  - &m\n    name: s\n    " + fields + "  - *m\n" * 3_000
    assert [(finding.kind, finding.refused) for finding in read(text)[1]] == [("unparsable_file", True)]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(content: bytes) -> None:
    read(content)
    read(SOUND.encode() + content)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([0, "0", "B->MB"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "fields", "field", "type", "unit", "i18n", "zh-CN", "units", "label"]), inner
        )
    ),
    max_leaves=10,
)


@given(app=_VALUES | st.just("a"), metrics=_VALUES | st.lists(_VALUES), fields=st.lists(_VALUES))
def test_any_shape_of_any_value_never_raises_and_names_every_entry(app: Any, metrics: Any, fields: Any) -> None:
    if isinstance(metrics, list):
        metrics.append({"name": "set", "fields": fields, "units": fields, "interval": app})
    entries, findings = read(yaml.safe_dump({"app": app, "metrics": metrics}, allow_unicode=True))
    assert all(entry.source_metric.strip() for entry in entries)
    assert all(finding.line >= 0 and finding.detail for finding in findings)
