"""Zabbix's templates are read as they stand, XML and YAML alike: every item, its unit, interval and line."""

from __future__ import annotations

import html
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from omgov_assets.data_management.catalogues.entries import CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.importing import read_catalogue
from omgov_assets.data_management.catalogues.zabbix import READER

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
WAITING = {"TRAP", "SNMP_TRAP", "DEPENDENT", "2", "17", "18"}
NUMERIC = {"UNSIGNED": "int", "3": "int", "FLOAT": "double", "0": "double"}

YAML_EXPORT = """\
zabbix_export:
  version: '{version}'
  templates:
    - uuid: 1
      template: T
      name: Template T
      items:
        - uuid: 2
          name: First
          key: 'a.b[1]'
{fields}
      discovery_rules:
        - uuid: 3
          name: A rule measures nothing
          key: rule
          item_prototypes:
            - uuid: 4
              name: Second
              key: 'c[{{#D}}]'
              value_type: FLOAT
          discovery_prototypes:
            - key: nested.rule
              item_prototypes:
                - key: 'd[{{#E}}]'
"""


def read(content: str) -> tuple[list[CatalogueEntry], list[Finding]]:
    items = list(READER.read(CatalogueFile("t.yaml", content.encode())))
    entries = [item for item in items if isinstance(item, CatalogueEntry)]
    return entries, [item for item in items if isinstance(item, Finding)]


def read_item(version: str = "6.0", **fields: str) -> tuple[CatalogueEntry | None, list[Finding]]:
    """The first item of an export with these fields."""
    lines = "\n".join(f"          {name}: {value!r}" for name, value in fields.items())
    entries, findings = read(YAML_EXPORT.format(version=version, fields=lines))
    return next((entry for entry in entries if entry.source_metric == "T/a.b[1]"), None), findings


@pytest.fixture(scope="module")
def files(real_data: Path) -> dict[str, bytes]:
    with tarfile.open(real_data / "zabbix" / "zabbix_community_templates.tar.xz") as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {
            name.removeprefix("./"): stream.read()
            for name, stream in members
            if stream is not None and name.endswith((".xml", ".yaml"))
        }


@pytest.fixture(scope="module")
def stated(files: dict[str, bytes]) -> list[dict[str, Any]]:
    """All items and item prototypes of the raw files, by ElementTree and PyYAML alone."""
    found: list[dict[str, Any]] = []
    for name, content in files.items():
        if name.endswith(".xml"):
            root = ElementTree.fromstring(content)  # noqa: S314 - the test's own data
            for template in root.iterfind("templates/template"):
                items = [*template.iterfind("items/item"), *template.iterfind(".//item_prototypes/item_prototype")]
                for item in items:
                    texts = {part.tag: part.text or "" for part in item if not len(part)}
                    found.append({**texts, "file": name, "template": template.findtext("template")})
            continue
        try:
            document = yaml.load(content, Loader=yaml.CSafeLoader)
        except yaml.YAMLError:
            found.append({"file": name, "unparsable": True})
            continue
        for template in document["zabbix_export"].get("templates", []):
            rules = template.get("discovery_rules", [])
            prototypes = [item for rule in rules for item in rule.get("item_prototypes", [])]
            for item in [*template.get("items", []), *prototypes]:
                found.append({**item, "file": name, "template": template["template"]})
    return found


@pytest.fixture(scope="module")
def items(stated: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in stated if "unparsable" not in item]


@pytest.fixture(scope="module")
def numeric(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if item.get("value_type", "UNSIGNED") in NUMERIC]


@pytest.fixture(scope="module")
def catalogue(real_data: Path) -> tuple[list[CatalogueEntry], list[Finding]]:
    path = real_data / "zabbix" / "zabbix_community_templates.tar.xz"
    return read_catalogue(path, CatalogueFormat.ZABBIX)


def interval_of(item: dict[str, Any]) -> int | None:
    delay = str(item.get("delay", ""))
    if not delay:
        return None if str(item.get("type", "")) in WAITING else 60
    if delay.isdigit():
        return int(delay) or None
    if delay[:-1].isdigit() and delay[-1] in SECONDS:
        return int(delay[:-1]) * SECONDS[delay[-1]] or None
    return None


def test_every_numeric_item_of_the_real_templates_is_a_definition(items, numeric, catalogue) -> None:
    entries, findings = catalogue
    assert len(items) == 42_413
    assert len({(item["template"], item["key"]) for item in items}) == 17_237
    assert len(numeric) == len(entries) == 33_458
    expected = Counter(
        (
            item["file"],
            f"{item['template']}/{item['key']}",
            item["name"].strip() or None,
            item["units"] if item.get("units", "").strip() not in ("", "!") else None,
            NUMERIC[item.get("value_type", "UNSIGNED")],
            interval_of(item),
        )
        for item in numeric
    )
    found = Counter(
        (e.file, e.source_metric, e.display_name, e.source_unit, e.value_type, e.interval_s) for e in entries
    )
    assert found == expected
    assert sum(finding.kind == "not_numeric" and finding.refused for finding in findings) == 42_413 - 33_458


def test_the_known_dirt_is_found_and_counted(stated, numeric, catalogue) -> None:
    counts = Counter(finding.kind for finding in catalogue[1])
    blank = sum(not item.get("units", "").strip() for item in numeric)
    not_scaled = sum(item.get("units", "").strip() == "!" for item in numeric)
    assert (blank, not_scaled) == (17_491, 42)
    assert counts["unit_missing"] == blank + not_scaled
    assert counts["unparsable_file"] == sum("unparsable" in item for item in stated) == 2
    names = [f"{item['template']}/{item['key']}" for item in numeric]
    assert counts["name_duplicate"] == len(names) - len(set(names))
    assert counts["interval_missing"] == sum(interval_of(item) is None for item in numeric)
    unreadable = sum(interval_of(item) is None and str(item.get("delay", "0")) not in ("", "0") for item in numeric)
    assert counts["interval_unreadable"] == unreadable
    assert counts["description_missing"] == sum(not item.get("description", "").strip() for item in numeric)


def test_files_that_do_not_parse_are_named_with_their_line_and_do_not_stop_the_rest(catalogue) -> None:
    broken = [finding for finding in catalogue[1] if finding.kind == "unparsable_file"]
    assert [finding.file.split("/", 2)[2] for finding in broken] == [
        f"template_intel_s5500bc_ipmi/{version}/template_intel_s5500bc_ipmi.yaml" for version in ("5.4", "6.0")
    ]
    assert all(finding.refused and finding.line == 9 and "tab character" in finding.detail for finding in broken)


def test_lines_of_yaml_items_are_those_where_the_item_begins(files, items, catalogue) -> None:
    lines = {name: content.decode().split("\n") for name, content in files.items() if name.endswith(".yaml")}
    uuids: dict[tuple[str, str], set[str]] = {}
    for item in items:
        if item["file"] in lines:
            uuids.setdefault((item["file"], f"{item['template']}/{item['key']}"), set()).add(item["uuid"])
    for entry in catalogue[0]:
        if entry.file in lines:
            name, _, value = lines[entry.file][entry.line - 1].strip().removeprefix("- ").partition(": ")
            assert name == "uuid"
            assert value.strip("'\"") in uuids[entry.file, entry.source_metric]


def test_lines_of_xml_items_are_those_of_the_opening_tag(files, catalogue) -> None:
    keys: dict[tuple[str, int], set[str]] = {}
    for name, content in files.items():
        if name.endswith(".xml"):
            text = content.decode()
            for found in re.finditer(r"<(item|item_prototype)>.*?<key>(.*?)</key>", text, re.DOTALL):
                line = text.count("\n", 0, found.start()) + 1
                keys.setdefault((name, line), set()).add(html.unescape(found[2]))
    xml = [entry for entry in catalogue[0] if entry.file.endswith(".xml")]
    assert len(xml) > 8_000
    assert all(any(e.source_metric.endswith(f"/{key}") for key in keys[e.file, e.line]) for e in xml)


def test_items_and_prototypes_are_metrics_and_discovery_rules_are_not() -> None:
    entries, findings = read(YAML_EXPORT.format(version="7.4", fields=""))
    assert not findings
    assert [(e.source_metric, e.line, e.value_type) for e in entries] == [
        ("T/a.b[1]", 8, "int"),
        ("T/c[{#D}]", 17, "double"),
        ("T/d[{#E}]", 24, "int"),
    ]


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("1d", 86_400), ("2w", 1_209_600), ("60", 60), ("0", None), ("0s", None)],
)
def test_an_interval_is_read_in_seconds(delay: str, seconds: int | None) -> None:
    entry, findings = read_item(delay=delay)
    assert entry is not None
    assert entry.interval_s == seconds
    assert not findings


@pytest.mark.parametrize("delay", ["{$INTERVAL}", "{#D}", "50s;10s/1-7,00:00-24:00", "0;h23m50", "soon", "1.5m", "10y"])
def test_an_interval_that_is_a_macro_or_a_schedule_is_told_and_not_guessed(delay: str) -> None:
    entry, findings = read_item(delay=delay)
    assert entry is not None
    assert entry.interval_s is None
    assert [(f.kind, f.line, f.detail) for f in findings] == [("interval_unreadable", 8, f"delay is '{delay}'")]


def test_what_an_export_leaves_out_has_the_default_of_the_format() -> None:
    polled, _ = read_item("6.0")
    waiting, _ = read_item("6.0", type="DEPENDENT")
    old, _ = read_item("4.0")
    assert polled is not None
    assert waiting is not None
    assert old is not None
    assert (polled.interval_s, polled.value_type) == (60, "int")
    assert (waiting.interval_s, waiting.value_type) == (None, "int")
    assert (old.interval_s, old.value_type) == (None, None)


@pytest.mark.parametrize("value_type", ["CHAR", "LOG", "TEXT", "BINARY", "1", "2", "4", "5"])
def test_text_and_log_are_left_out_and_counted(value_type: str) -> None:
    entry, findings = read_item(value_type=value_type)
    assert entry is None
    assert [(f.kind, f.source_metric, f.refused) for f in findings] == [("not_numeric", "T/a.b[1]", True)]


@pytest.mark.parametrize(("value_type", "expected"), [("FLOAT", "double"), ("0", "double"), ("3", "int")])
def test_value_types_are_words_or_numbers(value_type: str, expected: str) -> None:
    entry, findings = read_item(value_type=value_type)
    assert entry is not None
    assert entry.value_type == expected
    assert not findings


def test_a_value_type_that_zabbix_does_not_have_is_told() -> None:
    entry, findings = read_item(value_type="DECIMAL")
    assert entry is not None
    assert entry.value_type is None
    assert [f.kind for f in findings] == ["type_unknown"]


@pytest.mark.parametrize(("units", "expected"), [("!ms", "!ms"), ("!", None), (" ", None), (" B", " B")])
def test_units_are_kept_as_they_are_spelled(units: str, expected: str | None) -> None:
    entry, _ = read_item(units=units)
    assert entry is not None
    assert entry.source_unit == expected


def test_xml_and_yaml_of_one_template_say_the_same() -> None:
    xml = """<?xml version="1.0" encoding="UTF-8"?>
<zabbix_export><version>7.4</version><templates><template>
<template>T</template><name>Template T</name>
<items>
  <item><name>First</name><type>DEPENDENT</type><key>a.b[1]</key><units>%</units>
    <master_item><key>not.this</key></master_item>
    <preprocessing><step><type>JSONPATH</type><name>nor this</name></step></preprocessing>
    <description>less &lt; more &amp; <![CDATA[<more>]]></description></item>
</items>
<discovery_rules><discovery_rule><key>rule</key><item_prototypes>
  <item_prototype><name>Second</name><key>c[{#D}]</key><value_type>FLOAT</value_type></item_prototype>
</item_prototypes><discovery_prototypes><discovery_prototype><key>nested.rule</key><item_prototypes>
  <item_prototype><key>d[{#E}]</key></item_prototype>
</item_prototypes></discovery_prototype></discovery_prototypes></discovery_rule></discovery_rules>
</template></templates></zabbix_export>"""
    entries, findings = read(xml)
    assert not findings
    assert entries[0] == CatalogueEntry(
        "t.yaml", 5, "T/a.b[1]", "First", "less < more & <more>", "%", value_type="int", interval_s=None
    )
    assert [(e.source_metric, e.line, e.value_type) for e in entries[1:]] == [
        ("T/c[{#D}]", 11, "double"),
        ("T/d[{#E}]", 13, "int"),
    ]
