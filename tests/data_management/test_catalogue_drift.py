"""Two snapshots of a catalogue: what was added, removed, renamed, and what has another type or unit."""

from __future__ import annotations

import csv
import io
import tarfile
from collections import defaultdict
from pathlib import Path

import pytest

from omgov_assets.data_management.catalogues.datadog import INSTRUMENTS
from omgov_assets.data_management.catalogues.drift import Change, compare_catalogues, count_changes, read_snapshot
from omgov_assets.data_management.catalogues.entries import CatalogueEntry
from omgov_assets.data_management.catalogues.formats import CatalogueFormat
from omgov_assets.data_management.catalogues.importing import write_definitions
from omgov_assets.data_management.catalogues.sources import MissingCatalogueError
from omgov_assets.model_management.contracts import load_contract
from omgov_assets.model_management.units import UnitTable

BEFORE = "datadog_core_2023-11-14.tar.xz"
AFTER = "datadog_core_2025-09-16.tar.xz"
TEXT = "Bytes read from the disk since the last start"


def metric(name: str, unit: str | None = "By", text: str | None = TEXT, **more: str | None) -> CatalogueEntry:
    return CatalogueEntry("f", 1, name, description=text, source_unit=unit, **({"instrument": "gauge"} | more))


def compare(before: list[CatalogueEntry], after: list[CatalogueEntry]) -> list[tuple[str, str, str | None, str | None]]:
    return [(c.change, c.source_metric, c.before, c.after) for c in compare_catalogues(before, after)]


def test_the_same_catalogue_did_not_change() -> None:
    entries = [metric("a"), metric("a", unit=None), metric("b")]
    assert compare(entries, list(reversed(entries))) == []


def test_what_is_new_and_what_is_gone_is_told() -> None:
    before, after = [metric("a.gone", text="one"), metric("b")], [metric("b"), metric("z.new", text="two")]
    assert compare(before, after) == [("added", "z.new", None, None), ("removed", "a.gone", None, None)]


def test_another_unit_or_type_is_told_with_both() -> None:
    after = [metric("a", unit="kB"), metric("b", instrument="counter"), metric("c", unit=None)]
    assert compare([metric("a"), metric("b"), metric("c")], after) == [
        ("type_changed", "b", "gauge", "counter"),
        ("unit_changed", "a", "By", "kB"),
        ("unit_changed", "c", "By", None),
    ]


def test_all_that_is_stated_of_one_metric_is_compared() -> None:
    assert compare([metric("a", unit="B"), metric("a", unit="kB")], [metric("a", unit="B")]) == [
        ("unit_changed", "a", "B | kB", "B")
    ]


def test_a_unit_that_is_only_spelled_otherwise_is_told_as_such() -> None:
    units = UnitTable({"bytes": "By", "byte": "By", "KB": "kBy"})
    before, after = [metric("a", unit="byte"), metric("b", unit="byte")], [metric("a", "bytes"), metric("b", "KB")]
    assert [(c.source_metric, c.reason) for c in compare_catalogues(before, after, units)] == [
        ("a", "the same unit, spelled otherwise"),
        ("b", ""),
    ]


def test_a_stated_rename_of_a_metric_that_is_gone_is_a_rename() -> None:
    before, after = [metric("old", renamed_to="new")], [metric("new", unit="kB", text="other")]
    assert compare(before, after) == [("renamed", "old", "old", "new"), ("unit_changed", "new", "By", "kB")]


def test_a_metric_that_is_kept_as_deprecated_is_renamed_when_the_tool_says_so_first() -> None:
    kept = metric("old", renamed_to="new", status="deprecated")
    assert compare([metric("old")], [kept, metric("new")]) == [("renamed", "old", "old", "new")]
    assert compare([kept, metric("new")], [kept, metric("new")]) == []


def test_the_same_description_unit_and_type_tell_a_rename() -> None:
    changes = compare_catalogues([metric("disk.read_byte")], [metric("disk.read.bytes.total")])
    assert changes == [
        Change("renamed", "disk.read_byte", "disk.read_byte", "disk.read.bytes.total", "the same description")
    ]


def test_the_same_name_but_for_case_and_separators_tells_a_rename() -> None:
    assert compare([metric("disk.readBytes", text=None)], [metric("disk.read_bytes", text=None)]) == [
        ("renamed", "disk.readBytes", "disk.readBytes", "disk.read_bytes")
    ]


def test_nearly_the_same_description_and_name_tell_a_rename() -> None:
    before, after = metric("disk.read.bytes"), metric("disk.reads.bytes", text=TEXT.replace("since", "after"))
    assert compare([before], [after]) == [("renamed", "disk.read.bytes", "disk.read.bytes", "disk.reads.bytes")]


@pytest.mark.parametrize(
    "other",
    [
        metric("disk.read.byte.total", unit="kB"),
        metric("disk.read.byte.total", instrument="counter"),
        metric("zfs.pool.ops"),
        metric("disk.read.byte.total", text="An entirely different thing is described"),
    ],
)
def test_another_unit_type_name_or_description_is_no_rename(other: CatalogueEntry) -> None:
    assert {change[0] for change in compare([metric("disk.read.byte")], [other])} == {"added", "removed"}


def test_names_that_differ_in_a_number_only_are_different_metrics() -> None:
    before, after = metric("latency.p95"), metric("latency.p99", text=TEXT + " again")
    assert {change[0] for change in compare([before], [after])} == {"added", "removed"}


def test_renames_are_one_to_one_and_the_best_ones_win() -> None:
    before = [metric("disk.read.byte"), metric("disk.read.byte.old")]
    after = [metric("disk.read.bytes")]
    assert compare(before, after) == [
        ("removed", "disk.read.byte.old", None, None),
        ("renamed", "disk.read.byte", "disk.read.byte", "disk.read.bytes"),
    ]


def test_an_imported_file_compares_like_the_catalogue_it_came_from(tmp_path: Path, project_root: Path) -> None:
    contract = load_contract(
        project_root / "governance" / "standard" / "data_contracts" / "metric_definitions.odcs.yaml"
    )
    entries = [metric("a"), metric("b", unit=None), metric("b", unit="kB", text=None)]
    write_definitions(tmp_path / "x.parquet", entries, contract)
    imported = read_snapshot(tmp_path / "x.parquet", None)
    assert compare(entries, imported) == []
    assert compare(imported, entries) == []


def test_a_raw_catalogue_needs_its_format(tmp_path: Path) -> None:
    with pytest.raises(MissingCatalogueError, match="give the tool's --format"):
        read_snapshot(tmp_path, None)


def test_a_parquet_file_of_something_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"no Parquet")
    with pytest.raises(MissingCatalogueError, match="no Parquet file of definitions"):
        read_snapshot(tmp_path / "x.parquet", None)


def raw(path: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Types and units of each metric of the raw files, by the csv module alone."""
    metrics: dict[str, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name.endswith("metadata.csv") else None
            if stream is None:
                continue
            for row in csv.DictReader(io.StringIO(stream.read().decode(), newline="")):
                types, units = metrics[row["metric_name"]]
                types.add(INSTRUMENTS[row["metric_type"]])
                if row["unit_name"]:
                    units.add(row["unit_name"] + ("/" + row["per_unit_name"] if row["per_unit_name"] else ""))
    return metrics


def test_the_drift_of_two_years_of_datadog_is_that_of_the_raw_files(real_data: Path) -> None:
    folder = real_data / "datadog"
    before, after = raw(folder / BEFORE), raw(folder / AFTER)
    changes = compare_catalogues(
        read_snapshot(folder / BEFORE, CatalogueFormat.DATADOG), read_snapshot(folder / AFTER, CatalogueFormat.DATADOG)
    )
    found = defaultdict(set)
    for change in changes:
        found[change.change].add(change.source_metric)
    successors = {change.after for change in changes if change.change == "renamed"}
    assert found["removed"] | found["renamed"] == before.keys() - after.keys()
    assert found["added"] | successors == after.keys() - before.keys()
    both = before.keys() & after.keys()
    assert found["type_changed"] == {name for name in both if before[name][0] != after[name][0]}
    assert found["unit_changed"] == {name for name in both if before[name][1] != after[name][1]}
    assert count_changes(changes) == {
        "added": 3_950,
        "removed": 11,
        "renamed": 6,
        "type_changed": 0,
        "unit_changed": 5,
    }
    assert {change.source_metric.rpartition(".")[2] for change in changes if change.change == "renamed"} == {
        "inuse_use"
    }
