"""Evaluation: the anomalies of a simulated firm against what was planted in it.

The one module that reads a ground truth; nothing else may, or the numbers would say nothing.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.anomalies import ANOMALIES

_EVALUATE_SQL = read_sql(Path(__file__).with_name("evaluate.sql"))


class NoGroundTruthError(FileNotFoundError):
    """A day whose defects nobody wrote down."""


def evaluate(lake: Lake, day: date, truth_folder: Path) -> list[dict[str, Any]]:
    """Compare ``quality/anomalies`` of a day with the ground truth, anomaly type by anomaly type.

    Args:
        lake: the lake.
        day: business day.
        truth_folder: folder of ``<day>.parquet`` with columns day, system, dataset, anomaly_type,
            subject_kind, subject_key.

    Returns:
        One dictionary per anomaly type planted or found, in the order of its name: anomaly_type, planted,
        found, precision, recall, f1. Precision is 0 where nothing was found, recall 0 where nothing was
        planted.

    Raises:
        NoGroundTruthError: there is no file for the day.
    """
    truth = truth_folder / f"{day.isoformat()}.parquet"
    if not truth.is_file():
        raise NoGroundTruthError(
            f"no ground truth of {day}: {truth} is missing; only a simulated firm has one "
            "(`omgov sample-firm` writes it)"
        )
    with lake.connect() as con:
        lake.register(con, "anomalies", ANOMALIES, day)
        con.read_parquet(str(truth)).create_view("truth")
        rows: list[dict[str, Any]] = con.sql(_EVALUATE_SQL, params={"day": day}).to_arrow_table().to_pylist()
    return rows
