"""Precision and recall are those of the sets of planted and found subjects."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lower_rooms import DAY, NEXT_DAY, RULES, Rooms, violation

from omgov_assets.quality_analysis.anomalies import identify_anomalies
from omgov_assets.quality_analysis.evaluate import NoGroundTruthError, evaluate
from omgov_assets.quality_policy.violations import VIOLATIONS


def plant(folder: Path, day: date, subjects: list[tuple[str, str]]) -> None:
    folder.mkdir(exist_ok=True)
    rows = [
        {
            "day": day,
            "system": "securities",
            "dataset": "metric_instances",
            "anomaly_type": anomaly_type,
            "subject_kind": "row",
            "subject_key": key,
        }
        for anomaly_type, key in subjects
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / f"{day}.parquet")


def test_each_anomaly_type_is_compared_subject_by_subject(rooms: Rooms, tmp_path: Path) -> None:
    found = [
        ("flat_line", "i1"),
        ("flat_line", "i2"),
        ("flat_line", "i3"),
        ("stale", "i1"),
        ("only_found", "i1"),
    ]
    rooms.write(VIOLATIONS, DAY, [violation(key, anomaly_type) for anomaly_type, key in found])
    identify_anomalies(rooms.lake, DAY, RULES)
    planted = [
        ("flat_line", "i1"),
        ("flat_line", "i2"),
        ("flat_line", "i9"),
        ("flat_line", "i8"),
        ("stale", "i1"),
    ]
    # A subject written twice into the truth is one subject.
    plant(tmp_path / "truth", DAY, [*planted, ("only_planted", "i1"), ("only_planted", "i1")])

    rows = evaluate(rooms.lake, DAY, tmp_path / "truth")

    names = ("anomaly_type", "planted", "found", "precision", "recall", "f1")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("flat_line", 4, 3, 2 / 3, 2 / 4, 4 / 7),
        ("only_found", 0, 1, 0.0, 0.0, 0.0),
        ("only_planted", 1, 0, 0.0, 0.0, 0.0),
        ("stale", 1, 1, 1.0, 1.0, 1.0),
    ]


def test_the_same_subject_in_another_system_is_not_found(rooms: Rooms, tmp_path: Path) -> None:
    rooms.write(VIOLATIONS, DAY, [violation("i1", system="asset_management")])
    identify_anomalies(rooms.lake, DAY, RULES)
    plant(tmp_path / "truth", DAY, [("flat_line", "i1")])
    row = evaluate(rooms.lake, DAY, tmp_path / "truth")[0]
    assert (row["planted"], row["found"], row["f1"]) == (1, 1, 0.0)


def test_a_day_without_a_truth_is_an_error_that_names_the_file(rooms: Rooms, tmp_path: Path) -> None:
    plant(tmp_path / "truth", DAY, [("flat_line", "i1")])
    with pytest.raises(NoGroundTruthError, match=r"2026-11-21\.parquet is missing"):
        evaluate(rooms.lake, NEXT_DAY, tmp_path / "truth")
