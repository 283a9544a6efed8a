"""Evaluation: the anomalies of a simulated firm against what was planted in it.

Only evaluations read a ground truth (this one, and that of members in ``exception_management``); nothing else may, or
the numbers would say nothing.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import register_explained

_EVALUATE_SQL = read_sql(Path(__file__).with_name("evaluate.sql"))
_EVALUATE_CAUSES_SQL = read_sql(Path(__file__).with_name("evaluate_causes.sql"))

FOUND_SHARE = 0.8


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
    truth = truth_of(truth_folder, day)
    with lake.connect() as con:
        lake.register(con, "anomalies", ANOMALIES, day)
        con.read_parquet(str(truth)).create_view("truth")
        rows: list[dict[str, Any]] = con.sql(_EVALUATE_SQL, params={"day": day}).to_arrow_table().to_pylist()
    return rows


def evaluate_causes(lake: Lake, day: date, truth_folder: Path) -> list[dict[str, Any]]:
    """Compare ``quality/root_causes`` of a day with the causes that the ground truth names.

    A true cause is found where at least ``FOUND_SHARE`` of its anomalies are assigned to causes of which at least as
    much is its own, those anomalies aside that have no cause in the truth.

    Args:
        lake: the lake.
        day: business day.
        truth_folder: as for ``evaluate``, its files with a column cause_id; ``causes/<day>.parquet`` in it has columns
            day, cause_id, kind, conditions, anomaly_type, instances, support, lift.

    Returns:
        One dictionary per true cause with anomalies, most anomalies first: true_cause, kind, conditions, anomaly_type,
        instances, support, lift, anomalies, explained, is_found, rank and conditions_found (of the first cause that is
        mostly its).

    Raises:
        NoGroundTruthError: there is no file for the day.
    """
    truth, causes = truth_of(truth_folder, day), truth_of(truth_folder / "causes", day)
    with lake.connect() as con:
        register_explained(lake, con, day)
        lake.register(con, "root_causes", ROOT_CAUSES, day)
        con.read_parquet(str(truth)).create_view("truth")
        con.read_parquet(str(causes)).create_view("truth_causes")
        params = {"day": day, "share": FOUND_SHARE}
        rows: list[dict[str, Any]] = con.sql(_EVALUATE_CAUSES_SQL, params=params).to_arrow_table().to_pylist()
    return rows


def truth_of(folder: Path, day: date) -> Path:
    """The file of a day in a folder of the truth. Raises ``NoGroundTruthError``."""
    truth = folder / f"{day.isoformat()}.parquet"
    if not truth.is_file():
        raise NoGroundTruthError(
            f"no ground truth of {day}: {truth} is missing; only a simulated firm has one "
            "(`omgov sample-firm` writes it)"
        )
    return truth
