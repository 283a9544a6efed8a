"""Evaluation of members: their states against what a simulated firm says became of every anomaly.

Does not belong here: whether the anomalies themselves were found (``quality_analysis.evaluate``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS
from omgov_assets.quality_analysis.evaluate import truth_of

_MEMBER_EVALUATION_SQL = read_sql(Path(__file__).with_name("member_evaluation.sql"))


@dataclass(frozen=True)
class MemberEvaluation:
    """How the members of a day compare with the truth.

    Attributes:
        subjects: subjects that the truth or a case knows.
        differing: one dictionary per subject whose state is not the true one: system, dataset, anomaly_type,
            subject_kind, subject_key, true_state, is_truly_verified, state, is_verified, case_id; null where only the
            other side knows it.
    """

    subjects: int
    differing: list[dict[str, Any]]


def evaluate_members(lake: Lake, day: date, rules: CaseRules, truth_folder: Path) -> MemberEvaluation:
    """Compare ``exceptions/case_members`` of a day with the truth.

    Args:
        lake: the lake.
        day: a day whose cases are there.
        rules: for how long a case that is closed is kept.
        truth_folder: ``members/<day>.parquet`` in it has columns system, dataset, anomaly_type, subject_kind,
            subject_key, state, is_verified, state_day.

    Raises:
        NoGroundTruthError: there is no file for the day.
    """
    truth = truth_of(truth_folder / "members", day)
    with lake.connect() as con:
        lake.register(con, "members", CASE_MEMBERS, day)
        con.read_parquet(str(truth)).create_view("truth")
        values = {"day": day, "reopening_days": rules.exceptions.reopening_days}
        con.execute(f"CREATE OR REPLACE TEMP TABLE compared_members AS {_MEMBER_EVALUATION_SQL}", values)
        (subjects,) = one_row(con, "SELECT count(*) FROM compared_members")
        differing = con.sql("SELECT * EXCLUDE (is_equal) FROM compared_members WHERE NOT is_equal ORDER BY ALL")
        return MemberEvaluation(subjects, differing.to_arrow_table().to_pylist())
