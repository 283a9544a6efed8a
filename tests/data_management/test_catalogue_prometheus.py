"""Prometheus expositions: every family of a real one is read as it stands, and no content makes it raise."""

from __future__ import annotations

import re
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omgov_assets.data_management.catalogues.entries import FINDING_KINDS, CatalogueEntry, CatalogueFile, Finding
from omgov_assets.data_management.catalogues.prometheus import READER


def read(content: str | bytes, name: str = "metrics") -> tuple[list[CatalogueEntry], list[Finding]]:
    data = content.encode() if isinstance(content, str) else content
    items = list(READER.read(CatalogueFile(name, data)))
    assert {item.kind for item in items if isinstance(item, Finding)} <= set(FINDING_KINDS)
    assert [item.line for item in items] == sorted(item.line for item in items)
    entries = [item for item in items if isinstance(item, CatalogueEntry)]
    return entries, [item for item in items if isinstance(item, Finding)]


def names(content: str) -> list[str]:
    entries, findings = read(content)
    assert not findings
    return [entry.source_metric for entry in entries]


@pytest.fixture(scope="module")
def page(real_data: Path) -> str:
    """What node_exporter's collectors expose in its own end-to-end test."""
    with tarfile.open(real_data / "catalogues" / "node_exporter_exposition.tar.xz") as archive:
        wanted = [member for member in archive.getmembers() if member.isfile() and READER.wants(member.name)]
        assert [member.name for member in wanted] == ["e2e-output.txt"]
        stream = archive.extractfile(wanted[0])
        assert stream is not None
        return stream.read().decode()


def test_every_family_of_node_exporter_is_read_as_it_stands(page: str) -> None:
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", page, re.MULTILINE))
    entries, findings = read(page)
    assert not findings
    instruments = {"untyped": None, "summary": "histogram"}
    assert [(e.source_metric, e.instrument) for e in entries] == [
        (name, instruments.get(kind, kind)) for name, kind in types.items()
    ]
    assert {e.source_metric: e.description for e in entries} == {
        name: text.replace("\\n", "\n").replace("\\\\", "\\") for name, text in helps.items()
    }
    # 5,484 by `str.splitlines`, which also breaks lines at a control character within a label.
    assert page.count("\n") == 5_483
    assert Counter(types.values()) == {"counter": 475, "gauge": 418, "untyped": 334, "summary": 1}
    assert {e.value_type for e in entries} == {None}


def test_units_of_node_exporter_are_those_of_the_naming_conventions(page: str) -> None:
    entries, _ = read(page)
    units = {entry.source_metric: entry.source_unit for entry in entries}
    for unit in ("seconds", "bytes", "celsius", "volts", "joules", "ratio"):
        named = {name for name in units if re.search(rf"_{unit}(_total)?$", name)}
        assert {name for name, found in units.items() if found == unit} == named
        assert named
    assert units["node_cpu_core_throttles_total"] == "1"
    assert units["node_nfsd_disk_bytes_read_total"] is None
    assert units["node_load1"] is None
    assert Counter(units.values()) == {
        **{None: 611, "1": 410, "bytes": 154, "seconds": 43},
        **{"celsius": 4, "volts": 3, "joules": 2, "ratio": 1},
    }


def test_lines_are_those_where_the_families_begin(page: str) -> None:
    lines = page.split("\n")
    for entry in read(page)[0]:
        assert lines[entry.line - 1].startswith(f"# HELP {entry.source_metric} ")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("node.prom", True),
        ("metrics", True),
        ("e2e-output.txt", True),
        ("LICENSE", False),
        ("LICENSE.txt", False),
        ("main.go", False),
    ],
)
def test_pages_are_wanted_by_their_names(name: str, wanted: bool) -> None:
    assert READER.wants(name) is wanted


def test_a_histogram_and_a_summary_are_one_metric_each() -> None:
    entries, findings = read(
        "# HELP rpc_seconds Time of a call.\n"
        "# TYPE rpc_seconds histogram\n"
        'rpc_seconds_bucket{le="1"} 3\n'
        'rpc_seconds_bucket{le="+Inf"} 4\n'
        "rpc_seconds_sum 5.5\n"
        "rpc_seconds_count 4\n"
        "# TYPE gc_seconds summary\n"
        'gc_seconds{quantile="0.5"} 0.1\n'
        "gc_seconds_sum 3\n"
        "gc_seconds_count 9\n"
        "# TYPE gc_seconds_max gauge\n"
        "gc_seconds_max 1\n"
    )
    assert not findings
    assert [(e.line, e.source_metric, e.instrument, e.source_unit) for e in entries] == [
        (1, "rpc_seconds", "histogram", "seconds"),
        (7, "gc_seconds", "histogram", "seconds"),
        (11, "gc_seconds_max", "gauge", None),
    ]
    assert entries[0].description == "Time of a call."


def test_an_openmetrics_counter_is_named_as_its_series_are() -> None:
    entries, findings = read(
        "# TYPE acme_wait_seconds counter\n"
        "# UNIT acme_wait_seconds seconds\n"
        '# HELP acme_wait_seconds Waiting, "all" of it.\\nReally.\n'
        'acme_wait_seconds_total{path="/a,b\\"c"} 3.5 1700000000.5 # {trace_id="x"} 0.5\n'
        "acme_wait_seconds_created 1.7e9\n"
        "# TYPE build info\n"
        'build_info{version="1"} 1\n'
        "# EOF\n"
    )
    assert not findings
    assert [(e.source_metric, e.instrument, e.source_unit, e.description) for e in entries] == [
        ("acme_wait_seconds_total", "counter", "seconds", 'Waiting, "all" of it.\nReally.'),
        ("build_info", "gauge", None, None),
    ]


def test_samples_without_metadata_are_untyped_metrics() -> None:
    entries, findings = read("up 1\n\nup{a='b'} 0\nsum_count 4\r\n# HELP idle Never sampled.\n".replace("'", '"'))
    assert not findings
    assert [(e.line, e.source_metric, e.instrument) for e in entries] == [
        (1, "up", None),
        (4, "sum_count", None),
        (5, "idle", None),
    ]


@pytest.mark.parametrize(
    ("name", "kind", "unit"),
    [
        ("process_cpu_seconds_total", "counter", "seconds"),
        ("http_requests_total", "counter", "1"),
        ("http_requests_total", "gauge", None),
        ("http_requests", "counter", None),
        ("wait_milliseconds_total", "counter", None),
        ("wait_milliseconds", "gauge", None),
        ("bytes_read_total", "counter", None),
        ("disk_usage_ratio", "gauge", "ratio"),
        ("cpu_percent", "gauge", None),
        ("events_per_seconds", "gauge", None),
        ("seconds", "gauge", None),
        ("total", "counter", "1"),
        ("last_run_timestamp_seconds", "gauge", "seconds"),
    ],
)
def test_only_what_the_naming_conventions_state_is_a_unit(name: str, kind: str, unit: str | None) -> None:
    [entry], _ = read(f"# TYPE {name} {kind}\n")
    assert entry.source_unit == unit


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("x 1", "x"),
        ('x{a="b"} 1 5', "x"),
        ('x{a="b",} -1.5e-3', "x"),
        ("x{} .5", "x"),
        ("x\t+Inf", "x"),
        ("x NaN", "x"),
        ('x { a = "b" , c="" } 1', "x"),
        ('x{a="b"}1', "x"),
        ('x{a="}\\" 1"} 1', "x"),
        ('{"x.y",a="b"} 1', "x.y"),
        ('{"x.y"} 1', "x.y"),
        ('x{"a.b"="c"} 1', "x"),
        ("job:x:rate5m 1", "job:x:rate5m"),
        ('# TYPE "指标" gauge', "指标"),
    ],
)
def test_a_line_of_any_spelling_names_its_metric(line: str, name: str) -> None:
    assert names(line) == [name]


@pytest.mark.parametrize(
    "line",
    [
        "x",
        "x15",
        "x+5",
        "x 1_000",
        "x one",
        "x 1 2 3",
        "5x 1",
        'x{a="b" 1',
        "x{a=b} 1",
        "x{,} 1",
        '{a="b"} 1',
        'x{"y"} 1',
        '{""} 1',
        "# TYPE x",
        "# HELP",
        "# TYPE 5x gauge",
        "<html>",
        "x" * 2_000_000,
    ],
)
def test_a_malformed_line_is_a_finding_and_the_others_count(line: str) -> None:
    entries, [finding] = read(f"good 1\n{line}\nbetter 2\n")
    assert [entry.source_metric for entry in entries] == ["good", "better"]
    assert (finding.kind, finding.line, finding.refused) == ("malformed_record", 2, True)
    assert len(finding.detail) < 300


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("# TYPE x gauge", "type_conflict"),
        ("# TYPE x counter", "malformed_record"),
        ("# HELP x Another text.", "malformed_record"),
        ("# UNIT x bytes", "unit_conflict"),
        ("# UNIT y bytes", "malformed_record"),
        ("# TYPE z meter", "type_unknown"),
    ],
)
def test_metadata_that_contradicts_itself_is_found_and_the_first_counts(line: str, kind: str) -> None:
    sound = "# TYPE x counter\n# UNIT x seconds\n# HELP x A text.\nx_total 1\ny 1\n"
    entries, [finding] = read(sound + line + "\n")
    assert (finding.kind, finding.line, finding.refused) == (kind, 6, False)
    assert (entries[0].instrument, entries[0].source_unit, entries[0].description) == ("counter", "seconds", "A text.")


def test_a_file_that_is_no_exposition_is_refused_whole() -> None:
    entries, [finding] = read("Read me first!\n\nThen install.\n")
    assert not entries
    assert (finding.kind, finding.line, finding.refused) == ("unparsable_file", 1, True)


def test_findings_on_malformed_lines_are_limited_and_the_rest_is_counted() -> None:
    entries, findings = read("good 1\n" + "bad bad\n" * 5_000)
    assert len(entries) == 1
    assert len(findings) == 1_001
    assert (findings[0].line, findings[0].detail) == (0, "4,000 further lines are malformed")


def test_text_that_is_not_utf_8_is_a_finding_with_its_line() -> None:
    [finding] = read(b"x 1\n# HELP y \xb5s\n")[1]
    assert (finding.kind, finding.line, finding.refused) == ("unreadable_text", 2, True)


@pytest.mark.parametrize(
    "line",
    ['x{a="' + '\\"' * 400_000, "x{" + 'a="b",' * 150_000, "{" * 900_000, "x" + " " * 900_000 + "y", '"' * 900_000],
    ids=["escapes", "labels", "braces", "blanks", "quotes"],
)
def test_a_hostile_line_is_judged_at_once(line: str) -> None:
    assert [finding.kind for finding in read(f"good 1\n{line}\n")[1]] == ["malformed_record"]


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_raise(content: bytes) -> None:
    read(content)
    read(b"# TYPE x counter\n" + content)


@given(st.text(alphabet='x_:{}"\\,= #1.e+\tHELPTYPUNIgauge\n', max_size=80))
def test_any_text_of_the_formats_characters_never_raises_and_names_every_entry(text: str) -> None:
    entries, findings = read("# HELP x_total y\n" + text)
    assert all(entry.source_metric.strip() for entry in entries)
    assert all(finding.line >= 0 and finding.detail for finding in findings)
