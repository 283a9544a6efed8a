"""Scorecards: how good the data of the firm, a business system, site, support group, owner or application is.

Belongs here: a score for each quality dimension and overall, backlog and new defects, time to repair, coverage of
the baseline. Does not belong here: counting anomalies by any other dimension (``statistics``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.control import BASELINE_METRICS
from omgov_assets.model_management.score_rules import QualityDimension
from omgov_assets.quality_analysis.cmdb import SYSTEM as CMDB
from omgov_assets.quality_analysis.cmdb import create_ci_dimensions, create_labels, register_cmdb, register_named
from omgov_assets.quality_analysis.history import register_history
from omgov_assets.quality_analysis.inventory import register_inventory
from omgov_assets.quality_analysis.outcomes import create_outcomes
from omgov_assets.quality_analysis.rules import AnalysisRules, register_weights
from omgov_assets.quality_analysis.statistics import hash_of_all_policies

SCORECARDS = "quality/scorecards"

SubjectKind = Literal["firm", "system", "support_group", "owner", "application", "site"]
SUBJECT_KINDS: tuple[SubjectKind, ...] = ("firm", "system", "support_group", "owner", "application", "site")
OVERALL = "overall"

# The view that trends are read from.
HISTORY = "scorecard_history"

_SCORECARDS_SQL = read_sql(Path(__file__).with_name("scorecards.sql"))
_SUBJECTS_OF = read_sql(Path(__file__).with_name("subjects_of.sql"))
_TREND_SQL = read_sql(Path(__file__).with_name("score_trend.sql"))


class NotScoredError(LookupError):
    """A day without scorecards."""


@dataclass(frozen=True)
class ScorecardsSummary:
    """What ``compute_scorecards`` did.

    Attributes:
        day: business day.
        rows: rows written.
        scores: score of the firm by quality dimension and ``overall``, those that there are.
        version: Delta version of ``quality/scorecards``.
    """

    day: date
    rows: int
    scores: dict[str, float]
    version: int


def compute_scorecards(lake: Lake, day: date, rules: AnalysisRules) -> ScorecardsSummary:
    """Score every subject of a day into ``quality/scorecards``.

    A score is ``100 × (1 - penalty / subjects)``. *Subjects* are the rows that policies of the dimension judged:
    metric instances and CIs, by the dimensions of their CI, and for the firm and for business systems the rows of
    the other datasets as well, but for the points of series. Coverage of what has a CI is judged of the instances that
    the baseline expects instead, where a policy has judged whether they are reported. The *penalty*
    sums, over the subjects with an anomaly of the dimension, the weight of the worst severity. What was not judged is
    in neither: a subject without any verdict has no score, and ``not_evaluated_share`` says how much is missing.
    The overall score is the weighted mean of the scores that there are. There is no ``change`` where other policies
    had a verdict than the day before.

    An instance that the baseline expects is of each system that reports anything of its CI, and of the CMDB.

    Args:
        lake: the lake; anomalies of the day and of the day before have been identified.
        day: business day.
        rules: whose inventories there are, weights, thresholds and the length of the trend.
    """
    yesterday = day - timedelta(days=1)
    scores = rules.scores
    with lake.connect() as con:
        versions = register_cmdb(lake, con, day)
        create_ci_dimensions(con)
        create_labels(con)
        versions |= register_inventory(lake, con, day, rules.systems, last_known=True)
        create_outcomes(lake, con, day)
        register_weights(con, scores)
        con.execute(_SUBJECTS_OF)
        lake.register(con, "baseline_metrics", BASELINE_METRICS, day)
        lake.register(con, "previous_scorecards", SCORECARDS, yesterday)
        register_history(lake, con, "earlier_scorecards", SCORECARDS, yesterday, scores.trend_days - 1)
        params = {
            "day": day,
            "cmdb": CMDB,
            "systems": list(rules.systems),
            "minimum_subjects": scores.minimum_subjects,
            "quality_dimensions": list(get_args(QualityDimension)),
            "policy_hash": hash_of_all_policies(con),
            "data_versions": json.dumps(versions, sort_keys=True, separators=(",", ":")),
        }
        version = lake.replace(SCORECARDS, day, con.sql(_SCORECARDS_SQL, params=params))
        lake.register(con, "scorecards", SCORECARDS, day)
        found = con.execute(
            "SELECT quality_dimension, score FROM scorecards WHERE subject_kind = 'firm' AND score IS NOT NULL "
            "ORDER BY quality_dimension"
        ).fetchall()
        rows = con.view("scorecards").count("*").fetchall()[0][0]
    return ScorecardsSummary(day, rows, dict(found), version)


def read_scorecards(
    lake: Lake,
    kind: SubjectKind,
    day: date,
    *,
    quality_dimension: str = OVERALL,
    top: int | None = None,
    best_first: bool = False,
    key: str | None = None,
    owner_names: bool = False,
) -> list[dict[str, Any]]:
    """Scorecards of one kind of subject, the lowest score first; those without a score follow, by key.

    ``key`` is a key or a name, where one subject alone is wanted. Labels of owners are their keys, or with
    ``owner_names`` their names.

    Returns:
        Rows with the columns of ``quality/scorecards`` but those of provenance; day is ISO text.

    Raises:
        NotScoredError: the day has no scorecards.
    """
    if not lake.has_day(SCORECARDS, day):
        raise NotScoredError(f"{day} has no scorecards: govern it first with `omgov run --day {day}`")
    with lake.connect() as con:
        if owner_names:
            register_cmdb(lake, con, day)
            create_labels(con)
            register_named(lake, con, "scorecards", SCORECARDS, day, "subject_kind", "subject_key")
        else:
            lake.register(con, "scorecards", SCORECARDS, day)
        order = "DESC" if best_first else "ASC"
        query = (
            "SELECT * EXCLUDE (policy_hash, data_versions) REPLACE (day::VARCHAR AS day) FROM scorecards "  # noqa: S608 - fixed words
            "WHERE subject_kind = $kind AND quality_dimension = $quality_dimension "
            "AND ($key IS NULL OR $key IN (subject_key, label)) "
            f"ORDER BY score {order} NULLS LAST, anomalies DESC, subject_key LIMIT $top"
        )
        params = {"kind": kind, "quality_dimension": quality_dimension, "top": top, "key": key}
        rows: list[dict[str, Any]] = con.sql(query, params=params).to_arrow_table().to_pylist()
    return rows


def score_trend(lake: Lake, day: date, kind: SubjectKind, days: int) -> list[dict[str, Any]]:
    """Overall scores and movements of the subjects of a kind over the days up to ``day``.

    Returns:
        Rows by subject key and day: day (date), subject_key, label, score, subjects, anomalies, backlog, new_anomalies,
        resolved_anomalies, new_defect_rate. Days that were not governed have none.
    """
    with lake.connect() as con:
        register_history(lake, con, HISTORY, SCORECARDS, day, days)
        return read_trend(con, kind)


def read_trend(con: duckdb.DuckDBPyConnection, kind: SubjectKind) -> list[dict[str, Any]]:
    """The rows of ``score_trend`` from the view ``HISTORY``, as ``register_history`` has made it."""
    rows: list[dict[str, Any]] = con.sql(_TREND_SQL, params={"kind": kind}).to_arrow_table().to_pylist()
    return rows
