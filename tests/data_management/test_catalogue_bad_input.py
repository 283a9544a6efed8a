"""Catalogues of strangers: whatever a file holds, it is refused with file and line; nothing hangs, runs or crashes."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.data_management.catalogues import datadog, importing, zabbix
from omgov_assets.data_management.catalogues.entries import FINDING_KINDS, CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.importing import read_catalogue
from omgov_assets.data_management.catalogues.sources import MissingCatalogueError
from omgov_assets.model_management.units import UnitTable

HEADER = "metric_name,metric_type,unit_name,description,orientation\n"
DROP = "'; DROP TABLE metric_definitions; --"


def read_datadog(content: str | bytes) -> tuple[list[CatalogueEntry], list[Finding]]:
    return split(datadog.READER.read(CatalogueFile("metadata.csv", as_bytes(content))))


def read_zabbix(content: str | bytes) -> tuple[list[CatalogueEntry], list[Finding]]:
    return split(zabbix.READER.read(CatalogueFile("t", as_bytes(content))))


def as_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


def split(items) -> tuple[list[CatalogueEntry], list[Finding]]:
    both = list(items)
    findings = [item for item in both if isinstance(item, Finding)]
    assert {finding.kind for finding in findings} <= FINDING_KINDS.keys()
    return [item for item in both if isinstance(item, CatalogueEntry)], findings


def places(findings: list[Finding]) -> list[tuple[str, int, bool]]:
    return [(finding.kind, finding.line, finding.refused) for finding in findings]


def as_catalogue(folder: Path, rows: str) -> Path:
    path = folder / "metadata.csv"
    path.write_text(HEADER + rows, encoding="utf-8")
    return path


# --- CSV -------------------------------------------------------------------------------------------------------------


def test_a_record_with_a_field_too_many_or_too_few_is_refused_alone() -> None:
    entries, findings = read_datadog(f"{HEADER}a,gauge,byte,text,0\nb,gauge,byte,a, b,0\nc,gauge\nd,gauge,,,\n")
    assert [entry.source_metric for entry in entries] == ["a", "d"]
    assert places(findings) == [("malformed_record", 3, True), ("malformed_record", 4, True)]
    assert findings[0].detail == "6 fields where the header has 5"
    assert findings[0].source_metric == "b"


def test_shifted_columns_are_refused_though_their_number_is_right() -> None:
    entries, findings = read_datadog(f"{HEADER}a,gauge,byte,0,kafka\n")
    assert not entries
    assert places(findings) == [("malformed_record", 2, True)]
    assert "orientation is 'kafka'" in findings[0].detail


def test_a_quote_that_is_never_closed_costs_its_own_line_only() -> None:
    entries, findings = read_datadog(f'{HEADER}a,gauge,byte,"open,0\nb,gauge,byte,text,0\nc,gauge,byte,text,0\n')
    assert [(entry.source_metric, entry.line) for entry in entries] == [("b", 3), ("c", 4)]
    assert places(findings) == [("malformed_record", 2, True)]


def test_a_file_of_broken_quotes_is_given_up_before_it_takes_for_ever() -> None:
    # Each line leaves a quote open and is within one that is open: read naively, this takes quadratic time.
    entries, findings = read_datadog(HEADER + 'x","a\n' * 500_000)
    assert not entries
    assert len(findings) == datadog.BROKEN_RECORDS
    assert "the rest of the file was not read" in findings[-1].detail


@pytest.mark.parametrize("content", ["", "\n", "name,type\na,gauge\n", "metric_name,metric_name,metric_type\n", '"a\n'])
def test_a_file_without_the_header_is_refused_as_a_whole(content: str) -> None:
    entries, findings = read_datadog(content)
    assert not entries
    assert [(finding.kind, finding.refused) for finding in findings] == [("unparsable_file", True)]


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    entries, findings = read_datadog(HEADER.encode() + b"a,gauge,byte,text,0\nb,gauge,\xb5s,text,0\n")
    assert not entries
    assert places(findings) == [("unreadable_text", 3, True)]


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda text: (HEADER + text).encode("utf-8", "replace")))
def test_no_bytes_make_the_csv_reader_raise(content: bytes) -> None:
    read_datadog(content)


# --- XML -------------------------------------------------------------------------------------------------------------


def laughs(kind: str) -> str:
    entities = "\n".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    document_type = f'<!DOCTYPE {kind} [<!ENTITY l0 "lol">\n{entities}]>'
    return (
        f'<?xml version="1.0"?>\n{document_type}\n<zabbix_export><templates><template><template>&l9;</template>'
        "<items><item><key>k</key></item></items></template></templates></zabbix_export>"
    )


def test_a_billion_laughs_in_xml_are_refused_unread() -> None:
    entries, findings = read_zabbix(laughs("zabbix_export"))
    assert not entries
    assert places(findings) == [("unparsable_file", 2, True)]
    assert "document type" in findings[0].detail


def test_an_external_entity_is_refused_and_the_file_it_names_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret", encoding="utf-8")
    entries, findings = read_zabbix(
        f'<!DOCTYPE zabbix_export [<!ENTITY x SYSTEM "{secret.as_uri()}">]><zabbix_export>&x;</zabbix_export>'
    )
    assert not entries
    assert [finding.kind for finding in findings] == ["unparsable_file"]
    assert "secret" not in findings[0].detail


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("<zabbix_export>\n<templates>\n</zabbix_export>", 3),
        ("<zabbix_export>\n<templates>", 2),
        ("<html>\n</html>", 1),
        ("<zabbix_export>&undefined;</zabbix_export>", 1),
        ("<zabbix_export>\n\x00</zabbix_export>", 2),
        ('<?xml version="1.0" encoding="no-such-encoding"?><zabbix_export/>', 1),
        ("<", 1),
        ("<a>" * 200_000, 1),
    ],
)
def test_malformed_or_foreign_xml_is_refused_with_its_line(content: str, line: int) -> None:
    entries, findings = read_zabbix(content)
    assert not entries
    assert places(findings) == [("unparsable_file", line, True)]


def test_xml_nested_without_end_takes_no_stack() -> None:
    entries, findings = read_zabbix("<zabbix_export>" + "<a>" * 300_000)
    assert not entries
    assert places(findings) == [("unparsable_file", 1, True)]


# --- YAML ------------------------------------------------------------------------------------------------------------


def test_a_billion_laughs_in_yaml_are_refused() -> None:
    lines = ["a0: &a0 [lol]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    entries, findings = read_zabbix("\n".join(lines) + "\nzabbix_export: {templates: *a9}\n")
    assert not entries
    assert [(finding.kind, finding.refused) for finding in findings] == [("unparsable_file", True)]


def test_aliases_cannot_multiply_templates_by_items() -> None:
    items = ", ".join(["*i"] * 2_000)
    templates = ", ".join(["*t"] * 2_000)
    entries, findings = read_zabbix(
        f"x: &i {{key: k}}\ny: &t {{template: t, items: [{items}]}}\nzabbix_export: {{templates: [{templates}]}}\n"
    )
    assert not entries
    assert [finding.kind for finding in findings] == ["unparsable_file"]


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 500_000, "{a: " * 500_000, "? " * 500_000])
def test_yaml_nested_without_end_neither_hangs_nor_crashes(text: str) -> None:
    entries, findings = read_zabbix(text)
    assert not entries
    assert places(findings) == [("unparsable_file", 1, True)]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "just text",
        "- a list",
        "zabbix_export: text",
        "zabbix_export: [",
        "a: b: c",
        "\tx: y",
        "zabbix_export: !!python/object/apply:os.system ['true']",
    ],
)
def test_malformed_or_foreign_yaml_is_refused(content: str) -> None:
    entries, findings = read_zabbix(content)
    assert not entries
    assert [(finding.kind, finding.refused) for finding in findings] == [("unparsable_file", True)]


def test_lists_where_mappings_are_expected_are_told_with_their_line_and_the_rest_is_read() -> None:
    entries, findings = read_zabbix(
        "zabbix_export:\n  version: [6]\n  templates:\n    - text\n    - {items: [{key: a}]}\n    - template: T\n"
        "      items:\n        - [a]\n        - key: [b]\n        - {key: c, units: {x: y}}\n        - name: no key\n"
        "      discovery_rules: {a: b}\n"
    )
    assert [entry.source_metric for entry in entries] == ["T/c"]
    told = [place for place in places(findings) if place[0] == "malformed_record"]
    assert sorted(line for _, line, _ in told) == [4, 8, 9, 10, 12]
    assert [place[1] for place in places(findings) if place[0] == "name_missing"] == [5, 9, 11]
    assert all(finding.refused for finding in findings)


@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: f"zabbix_export: {text}".encode("utf-8", "replace"))
    | st.text(max_size=200).map(lambda text: f"<zabbix_export>{text}".encode("utf-8", "replace"))
)
def test_no_bytes_make_the_template_reader_raise(content: bytes) -> None:
    read_zabbix(content)


# --- all formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("name", "start"), [("metadata.csv", HEADER), ("t.xml", "<zabbix_export>"), ("t.yaml", "a: ")])
def test_a_line_of_100_megabytes_is_refused(tmp_path: Path, name: str, start: str, packed: bool) -> None:
    content = start.encode() + b"x" * 100_000_000
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    catalogue_format = CatalogueFormat.DATADOG if name.endswith("csv") else CatalogueFormat.ZABBIX
    entries, findings = read_catalogue(path, catalogue_format)
    assert not entries
    assert [(finding.kind, finding.file, finding.refused) for finding in findings] == [("unparsable_file", name, True)]


@pytest.mark.parametrize("start", [HEADER + "a,", HEADER + '"', "<zabbix_export>", "zabbix_export: ", "- ", '"'])
def test_a_line_just_below_the_limit_is_read_to_its_end(start: str) -> None:
    content = start + "x" * 20_000_000
    for read in (read_datadog, read_zabbix):
        entries, findings = read(content)
        assert not entries
        assert findings
        assert all(finding.refused and len(finding.detail) < 400 for finding in findings)


@pytest.mark.parametrize("name", ["a\x00b", "a\x1b[2Jb", '"a\nb"', "a\u202eb", "a\x85b", "x" * 10_000])
def test_a_name_that_no_report_can_carry_is_refused_and_shown_escaped(tmp_path: Path, name: str) -> None:
    path = as_catalogue(tmp_path, f"{name},gauge,byte,text,0\nsound,gauge,byte,text,0\n")
    entries, findings = read_catalogue(path, CatalogueFormat.DATADOG)
    assert [entry.source_metric for entry in entries] == ["sound"]
    refused = [finding for finding in findings if finding.refused]
    assert places(refused) == [("name_invalid", 2, True)]
    for text in (refused[0].detail, refused[0].source_metric or ""):
        assert text.isprintable()
        assert len(text) < 300


def test_a_name_of_spaces_is_none(tmp_path: Path) -> None:
    entries, findings = read_catalogue(as_catalogue(tmp_path, "  ,gauge,byte,text,0\n"), CatalogueFormat.DATADOG)
    assert not entries
    assert places(findings) == [("name_missing", 2, True)]


def test_a_unit_that_is_an_attack_is_an_unknown_unit(tmp_path: Path, project_root: Path) -> None:
    units = UnitTable.load(project_root / "governance" / "standard" / "unit_spellings.yaml")
    path = as_catalogue(tmp_path, f'a,gauge,"{DROP}",text,0\n')
    entries, findings = read_catalogue(path, CatalogueFormat.DATADOG, units)
    assert [entry.source_unit for entry in entries] == [DROP]
    assert [(f.kind, f.detail) for f in findings if f.kind.startswith("unit")] == [("unit_unknown", f"unit '{DROP}'")]


def test_more_definitions_than_a_catalogue_may_have_stop_the_reading(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(importing, "MAX_DEFINITIONS", 10)
    path = as_catalogue(tmp_path, "".join(f"a{number},gauge,byte,text,0\n" for number in range(50)))
    entries, findings = read_catalogue(path, CatalogueFormat.DATADOG)
    assert len(entries) == 10
    assert findings[-1].kind == "catalogue_too_large"
    assert findings[-1].refused


def test_a_folder_without_a_file_of_the_format_is_an_error_and_not_an_empty_catalogue(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here", encoding="utf-8")
    with pytest.raises(MissingCatalogueError, match="no file of format datadog; correct the path or the format"):
        read_catalogue(tmp_path, CatalogueFormat.DATADOG)
