"""OpenTelemetry's conventions: every metric of the real model is read as it stands, and no content makes it raise."""

from __future__ import annotations

import csv
import gzip
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.data_management.catalogues.entries import FINDING_KINDS, CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.opentelemetry import READER

SOUND = """\
groups:
  - id: metric.a.b
    type: metric
    metric_name: a.b
    brief: What a.b is.
    instrument: counter
    unit: "{request}"
    stability: stable
    annotations: {code_generation: {metric_value_type: int}}
  - id: attributes.a
    type: attribute_group
    brief: No metric.
"""


def read(content: str | bytes, name: str = "model/a/metrics.yaml") -> tuple[list[CatalogueEntry], list[Finding]]:
    data = content.encode() if isinstance(content, str) else content
    items = list(READER.read(CatalogueFile(name, data)))
    assert {item.kind for item in items if isinstance(item, Finding)} <= set(FINDING_KINDS)
    entries = [item for item in items if isinstance(item, CatalogueEntry)]
    return entries, [item for item in items if isinstance(item, Finding)]


@pytest.fixture(scope="module")
def model(real_data: Path) -> dict[str, bytes]:
    with tarfile.open(real_data / "catalogues" / "otel_semconv_model.tar.xz") as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return {name: stream.read() for name, stream in members if stream is not None and READER.wants(name)}


@pytest.fixture(scope="module")
def stated(model: dict[str, bytes]) -> list[dict[str, Any]]:
    """The metrics of the raw files, by PyYAML alone: groups of type metric, and items of the newer ``metrics``."""
    found: list[dict[str, Any]] = []
    for name, content in model.items():
        document = yaml.load(content, Loader=yaml.CSafeLoader)
        groups = [group for group in document.get("groups", []) if group["type"] == "metric"]
        items = [{**item, "metric_name": item["name"]} for item in document.get("metrics", [])]
        found += [{**metric, "file": name} for metric in groups + items]
    return found


def test_every_metric_of_the_model_is_read_as_it_stands(model: dict[str, bytes], stated: list[dict[str, Any]]) -> None:
    entries: list[CatalogueEntry] = []
    for name, content in model.items():
        of_file, findings = read(content, name)
        assert not findings
        entries += of_file
    assert len(entries) == len(stated) == 541

    def value_type(metric: dict[str, Any]) -> str | None:
        return metric.get("annotations", {}).get("code_generation", {}).get("metric_value_type")

    def row(metric: dict[str, Any]) -> tuple[Any, ...]:
        deprecated = metric.get("deprecated")
        renamed_to = deprecated.get("renamed_to") if isinstance(deprecated, dict) else None
        status = "deprecated" if deprecated else "active"
        return (
            *(metric["file"], metric["metric_name"], metric["unit"], metric["instrument"], value_type(metric)),
            *(metric["brief"].strip(), status, renamed_to),
        )

    read_rows = Counter(
        (e.file, e.source_metric, e.source_unit, e.instrument, e.value_type, e.description, e.status, e.renamed_to)
        for e in entries
    )
    assert read_rows == Counter(row(metric) for metric in stated)


def test_metrics_stand_in_files_of_other_names_and_in_two_shapes(stated: list[dict[str, Any]]) -> None:
    names = Counter(Path(metric["file"]).name for metric in stated)
    elsewhere = {name: count for name, count in names.items() if not name.startswith("metrics")}
    assert elsewhere.keys() >= {"runtime-metrics.yaml", "cosmosdb-metrics.yaml", "deprecated.yaml"}
    assert sum(elsewhere.values()) == 66
    assert sum("name" in metric for metric in stated) == 38


def test_deprecations_and_renamings_are_those_of_the_flattened_catalogue(
    model: dict[str, bytes], real_data: Path
) -> None:
    entries = [entry for name, content in model.items() for entry in read(content, name)[0]]
    with gzip.open(real_data / "catalogues" / "otel_metrics.csv.gz", "rt", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    deprecated = {row["name"]: json.loads(row["deprecated"]) for row in rows if row["deprecated"]}
    assert {e.source_metric for e in entries if e.status == "deprecated"} == set(deprecated)
    assert len(deprecated) == 97
    renamed = {name: stated["renamed_to"] for name, stated in deprecated.items() if "renamed_to" in stated}
    assert {e.source_metric: e.renamed_to for e in entries if e.renamed_to} == renamed
    assert len(renamed) == 71


def test_lines_are_those_where_the_metrics_begin(model: dict[str, bytes]) -> None:
    for name, content in model.items():
        lines = content.decode().splitlines()
        for entry in read(content, name)[0]:
            following = lines[entry.line - 1 : entry.line + 40]
            assert lines[entry.line - 1].lstrip().startswith("- "), (name, entry.line)
            assert any(entry.source_metric in line for line in following), (name, entry.line)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("model/jvm/metrics.yaml", True),
        ("jvm/runtime.yml", True),
        ("model/README.md", False),
        (".github/workflows/checks.yml", False),
        ("docs/.cache/metrics.yaml", False),
    ],
)
def test_yaml_files_outside_hidden_folders_are_wanted(name: str, wanted: bool) -> None:
    assert READER.wants(name) is wanted


def test_a_metric_group_becomes_an_entry() -> None:
    entries, findings = read(SOUND)
    assert entries == [
        CatalogueEntry(
            file="model/a/metrics.yaml",
            line=2,
            source_metric="a.b",
            description="What a.b is.",
            source_unit="{request}",
            instrument="counter",
            value_type="int",
        )
    ]
    assert not findings


@pytest.mark.parametrize(
    ("deprecated", "status", "renamed_to", "problems"),
    [
        ("{reason: renamed, renamed_to: c.d}", "deprecated", "c.d", 0),
        ("{reason: obsoleted, note: Gone.}", "deprecated", None, 0),
        ('"Replaced by `c.d`."', "deprecated", "c.d", 0),
        ('"Use `c.d` or `e.f` instead."', "deprecated", None, 0),
        ("{reason: renamed}", "deprecated", None, 1),
        ("[c.d]", "deprecated", None, 1),
        ("true", "deprecated", None, 1),
        ("false", "active", None, 1),
        ("~", "active", None, 0),
    ],
)
def test_both_shapes_of_a_deprecation_are_read(
    deprecated: str, status: str, renamed_to: str | None, problems: int
) -> None:
    entries, findings = read(SOUND.replace("    stability", f"    deprecated: {deprecated}\n    stability"))
    assert [(entry.status, entry.renamed_to) for entry in entries] == [(status, renamed_to)]
    assert len(findings) == problems
    assert not any(finding.refused for finding in findings)


def test_a_metric_of_the_older_stability_deprecated_is_deprecated() -> None:
    assert read(SOUND.replace("stable", "deprecated"))[0][0].status == "deprecated"


def test_the_newer_shape_is_read_only_where_the_file_says_its_format() -> None:
    metrics = "metrics:\n  - name: a.b\n    brief: X.\n    unit: s\n    instrument: gauge\n"
    assert [entry.source_metric for entry in read("file_format: definition/2\n" + metrics)[0]] == ["a.b"]
    assert read(metrics) == ([], [])


@pytest.mark.parametrize(
    ("before", "after", "kind", "line", "refused"),
    [
        ("metric_name: a.b", "metric_name: 5", "malformed_record", 4, True),
        ("metric_name: a.b", "metric_name: [a, b]", "malformed_record", 4, True),
        ("metric_name: a.b", "metric_name: ''", "name_missing", 2, True),
        ("    metric_name: a.b\n", "", "name_missing", 2, True),
        ("instrument: counter", "instrument: meter", "type_unknown", 2, False),
        ("metric_value_type: int", "metric_value_type: long", "type_unknown", 2, False),
        ('unit: "{request}"', "unit: {a: b}", "malformed_record", 7, False),
        ("stability: stable", "unit: s", "malformed_record", 2, False),
        ("groups:", "groups: nothing\nother:", "malformed_record", 1, True),
        ("groups:\n", "groups:\n  - metric\n", "malformed_record", 2, True),
        ("groups:", "- groups:", "malformed_record", 1, True),
        ("groups:", "groups: *nowhere\nother:", "unparsable_file", 1, True),
        ("groups:", "groups: &self [*self]\nother:", "unparsable_file", 1, True),
    ],
)
def test_a_mistake_gives_a_finding_with_its_line(before: str, after: str, kind: str, line: int, refused: bool) -> None:
    entries, findings = read(SOUND.replace(before, after))
    assert [(finding.kind, finding.line, finding.refused) for finding in findings] == [(kind, line, refused)]
    assert len(entries) == (0 if refused and after not in {"groups:\n  - metric\n"} else 1)


def test_an_alias_and_a_merge_key_are_followed() -> None:
    text = SOUND.replace("metric_name: a.b\n", "metric_name: a.b\n    <<: &more {note: Merged.}\n    x: *more\n")
    assert read(text.replace("    brief: What a.b is.\n", ""))[0][0].description == "Merged."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n"
                for old, new in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "aliases",
        ),
        ("groups: &g\n" + "- {type: metric, metric_name: a}\n" * 2000 + "x: [" + "*g, " * 2000 + "]", "aliases"),
        ("a: &a " + "x" * 1_000_000 + "\nb: [" + "*a, " * 200 + "]", "aliases"),
        ("[" * 100_000, "deep"),
        ("- " * 100_000, "deep"),
        ("{a: " * 100_000, "deep"),
        ("a: \x00", "not valid YAML"),
    ],
    ids=["billion laughs", "many lists", "long texts", "flow lists", "block lists", "mappings", "control character"],
)
def test_a_hostile_file_is_refused_at_once(content: str, problem: str) -> None:
    entries, findings = read(content)
    assert not entries
    assert [(finding.kind, finding.refused) for finding in findings] == [("unparsable_file", True)]
    assert problem in findings[0].detail
    assert len(findings[0].detail) < 300


def test_a_tag_constructs_nothing() -> None:
    assert read("!!python/object/apply:os.system [id]")[1][0].kind == "malformed_record"


def test_text_that_is_not_utf_8_is_a_finding_with_its_line() -> None:
    content = SOUND.encode() + "# 指标".encode("gbk")
    [finding] = read(content)[1]
    assert (finding.kind, finding.line, finding.refused) == ("unreadable_text", SOUND.count("\n") + 1, True)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(content: bytes) -> None:
    read(content)
    read(SOUND.encode() + content)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["metric", "a.b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "metric_name", "unit", "deprecated", "annotations"]), inner)
    ),
    max_leaves=8,
)


@given(groups=_VALUES | st.lists(_VALUES), file_format=st.sampled_from(["definition/2", 2, None]))
def test_any_shape_of_any_value_never_raises_and_names_every_entry(groups: Any, file_format: Any) -> None:
    document = {"groups": groups, "metrics": groups, "file_format": file_format}
    entries, findings = read(yaml.safe_dump(document, allow_unicode=True))
    assert all(entry.source_metric.strip() for entry in entries)
    assert all(finding.line >= 0 and finding.detail for finding in findings)
