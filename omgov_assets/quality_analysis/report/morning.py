"""What the first page of a report shows, read from the lake.

Does not belong here: laying it out (``templates``), the pages of single subjects (``pages``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, get_args

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.score_rules import QualityDimension, ScoreRules
from omgov_assets.quality_analysis.case_tables import register_cases
from omgov_assets.quality_analysis.cmdb import SYSTEM as CMDB
from omgov_assets.quality_analysis.cmdb import create_labels, register_cmdb, register_named
from omgov_assets.quality_analysis.compliance import clauses_of, read_compliance
from omgov_assets.quality_analysis.history import register_history
from omgov_assets.quality_analysis.rankings import RANKINGS, NotRankedError
from omgov_assets.quality_analysis.report.cases import read_cases
from omgov_assets.quality_analysis.report.queries import rows_of, rows_of_query
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import causes_of, names_of, register_explained
from omgov_assets.quality_analysis.scorecards import HISTORY, SCORECARDS, read_trend
from omgov_assets.quality_analysis.statistics import STATISTICS
from omgov_assets.quality_policy.violations import CHECK_RESULTS, NOT_DELIVERED

LEDGER = "admission/ledger"

CAUSES_SHOWN = 10
CASES_SHOWN = 10
PEOPLE_SHOWN = 3
CRITICAL_FINDINGS = 10
OTHER_FINDINGS = 6
TOP_RANKS = 10
TOP_LOWEST = 8
TOP_BETTER = 5
DELIVERIES_SHOWN = 60
MODELS_SHOWN = 40
COMPLIANCE_SHOWN = 40

# A place that holds at least half of a finding is where to look first.
CONCENTRATED = 0.5

QUALITY_DIMENSIONS: tuple[str, ...] = get_args(QualityDimension)
DECISIONS = ("admitted", "partial", "refused", "not_delivered", "repeated", "superseded")

# Dimension of the rankings and its column in the cube; who has to act comes first.
RANKED = (
    ("support_group", "support_group_id"),
    ("owner", "owner_id"),
    ("application", "application_id"),
    ("anomaly_type", "anomaly_type"),
    ("system", "system"),
    ("metric", "metric"),
    ("host", "host_id"),
    ("network_device", "network_device_id"),
    ("site", "site_id"),
    ("collector", "collector"),
    ("severity", "severity"),
)


@dataclass(frozen=True)
class Morning:
    """Everything the first page shows of a day; the template only lays it out."""

    day: date
    compared_with: date | None
    total: dict[str, Any]
    card: dict[str, Any] | None
    standing_since: date | None
    causes: list[dict[str, Any]]
    case_counts: dict[str, int]
    cases: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    systems: list[dict[str, Any]]
    lowest: dict[str, list[dict[str, Any]]]
    better: dict[str, list[dict[str, Any]]]
    risen: dict[str, list[dict[str, Any]]]
    firm_trend: list[dict[str, Any]]
    system_trend: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    deliveries_by_decision: dict[str, int]
    admission: list[dict[str, Any]]
    checks: list[dict[str, Any]]
    unjudged: list[dict[str, Any]]
    models: list[dict[str, Any]]
    cmdb: list[dict[str, Any]]
    rankings: list[dict[str, Any]]
    compliance: list[dict[str, Any]]

    @property
    def policies_not_evaluated(self) -> int:
        """Verdicts that are missing because the data was."""
        return sum(row["policies"] for row in self.unjudged if row["verdict"] == "not_evaluated")

    @property
    def policies_in_error(self) -> int:
        """Verdicts that are missing because the policy broke."""
        return sum(row["policies"] for row in self.unjudged if row["verdict"] == "error")

    @property
    def explained(self) -> int:
        """Anomalies that are assigned to a cause."""
        return sum(cause["anomalies"] for cause in self.causes)

    @property
    def first_causes(self) -> list[dict[str, Any]]:
        """Those that the first page shows."""
        return self.causes[:CAUSES_SHOWN]

    @cached_property
    def cause_by_id(self) -> dict[str, dict[str, Any]]:
        """All causes by their key."""
        return {cause["cause_id"]: cause for cause in self.causes}

    @property
    def counted_deliveries(self) -> int:
        """Deliveries that were decided on, and datasets that brought none."""
        return sum(
            n for decision, n in self.deliveries_by_decision.items() if decision not in ("repeated", "superseded")
        )

    def clauses_with(self, verdict: str) -> int:
        """Clauses whose verdict is such."""
        return sum(clause["verdict"] == verdict for clause in self.compliance)

    @property
    def clauses_unverified(self) -> int:
        """Clauses that no person has compared with their source."""
        return sum(not clause["verified"] for clause in self.compliance)

    @property
    def is_judged_whole(self) -> bool:
        """Whether fewer anomalies are fewer anomalies: nothing was refused or missing, all was judged again."""
        decisions = self.deliveries_by_decision
        unknown = decisions["refused"] + decisions["not_delivered"] + (self.total["unverified_anomalies"] or 0)
        return not (self.unjudged or unknown)


def read_morning(lake: Lake, day: date, scores: ScoreRules | None = None) -> Morning:
    """Read what the page shows. Raises ``NotRankedError`` where the day was never analysed."""
    with lake.connect() as con:
        register_day(lake, con, day, (scores or ScoreRules()).trend_days)
        return morning_of(lake, con, day)


def morning_of(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> Morning:
    """Read what the page shows, from the views of ``register_day``."""
    yesterday = day - timedelta(days=1)
    case_counts, cases = read_cases(con, CASES_SHOWN)
    deliveries = rows_of(con, "deliveries", {"not_delivered": NOT_DELIVERED})
    for delivery in deliveries:
        delivery["quarantine_reasons"] = json.loads(delivery["quarantine_reasons"] or "{}")
    return Morning(
        day=day,
        compared_with=yesterday if lake.has_day(STATISTICS, yesterday) else None,
        total=rows_of_query(con, "FROM statistics WHERE dimension_set = 'all'")[0],
        card=_first(
            rows_of_query(con, "FROM scorecards WHERE subject_kind = 'firm' AND quality_dimension = 'overall'")
        ),
        standing_since=rows_of_query(con, "SELECT min(first_seen_day) AS since FROM anomalies")[0]["since"],
        causes=_causes(con),
        case_counts=case_counts,
        cases=cases,
        findings=[
            placed_finding(row)
            for row in rows_of(con, "findings", {"critical": CRITICAL_FINDINGS, "others": OTHER_FINDINGS})
        ],
        systems=score_matrix(
            rows_of_query(con, "FROM scorecards WHERE subject_kind IN ('system', 'firm') ORDER BY subject_key")
        ),
        lowest=_grouped(rows_of(con, "lowest", {"top": TOP_LOWEST}), "subject_kind"),
        better=_grouped(rows_of(con, "better", {"top": TOP_BETTER}), "dimension"),
        risen=_grouped(rows_of(con, "risen", {"top": TOP_BETTER}), "subject_kind"),
        firm_trend=read_trend(con, "firm"),
        system_trend=read_trend(con, "system"),
        deliveries=deliveries,
        deliveries_by_decision=_count_by_decision(deliveries),
        admission=rows_of(con, "admission"),
        checks=_check_matrix(rows_of(con, "checks")),
        unjudged=rows_of(con, "unjudged"),
        models=rows_of(con, "models"),
        cmdb=rows_of(con, "cmdb", {"cmdb": CMDB}),
        rankings=_read_rankings(con),
        compliance=clauses_of(read_compliance(lake, day)),
    )


def register_day(lake: Lake, con: duckdb.DuckDBPyConnection, day: date, trend_days: int) -> None:
    """Make the day's tables readable as views (statistics, rankings, scorecards, root_causes, anomalies with their
    causes, check_results, ledger, cases, case_members: the open ones), the scorecards of so many days as ``HISTORY``
    and their causes as ``cause_history``; create the temporary table ``labels``.

    Raises:
        NotRankedError: the day was never analysed.
    """
    if not lake.has_day(STATISTICS, day):
        raise NotRankedError(f"{day} is not analysed: govern it first with `omgov run --day {day}`")
    for view, table in (
        ("statistics", STATISTICS),
        ("root_causes", ROOT_CAUSES),
        ("check_results", CHECK_RESULTS),
        ("ledger", LEDGER),
    ):
        lake.register(con, view, table, day)
    register_cases(lake, con, day)
    register_explained(lake, con, day)
    register_history(lake, con, HISTORY, SCORECARDS, day, trend_days)
    register_history(lake, con, "cause_history", ROOT_CAUSES, day, trend_days)
    register_cmdb(lake, con, day)
    create_labels(con)
    register_named(lake, con, "rankings", RANKINGS, day, "dimension", "key")
    register_named(lake, con, "scorecards", SCORECARDS, day, "subject_kind", "subject_key")


def _count_by_decision(deliveries: list[dict[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(DECISIONS, 0)
    for delivery in deliveries:
        counts[delivery["decision"]] += 1
    return counts


def _causes(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The day's root causes in their order, those shown with their history."""
    causes = causes_of(con)
    history = {row["cause_id"]: row["anomalies"] for row in rows_of(con, "cause_history", {"top": CAUSES_SHOWN})}
    shown = causes[:CAUSES_SHOWN]
    people = (("support_group", "support_group_ids"), ("owner", "owner_ids"))
    names = names_of(con, {key for cause in shown for _, keys in people for key in cause[keys]})
    for cause in shown:
        cause["history"] = history.get(cause["cause_id"], [])
        for kind, keys in people:
            cause[f"{kind}s"] = [(key, names.get((kind, key), key)) for key in cause[keys][:PEOPLE_SHOWN]]
    return causes


def placed_finding(finding: dict[str, Any]) -> dict[str, Any]:
    """Split the concentrations of a finding into where it is and whose it is."""
    leading = {
        entry["dimension"]: entry | {"share": entry["anomalies"] / finding["anomalies"]}
        for entry in finding.pop("concentrations") or []
    }
    places = [leading[name] for name in ("collector", "network_device", "site", "metric") if name in leading]
    return finding | {
        "where": [place for place in places if place["share"] >= CONCENTRATED],
        "spread": next((leading[name] for name in ("site", "collector") if name in leading), None),
        "group": leading.get("support_group"),
        "owner": leading.get("owner"),
        "has_places": bool(leading),
    }


def score_matrix(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each business system by key, and the firm's first, with a cell for each quality dimension."""
    cells = {(card["subject_kind"], card["subject_key"], card["quality_dimension"]): card for card in cards}
    subjects = sorted({(card["subject_kind"] != "firm", card["subject_kind"], card["subject_key"]) for card in cards})
    return [
        {
            "kind": kind,
            "key": key,
            "overall": cells[kind, key, "overall"],
            "cells": [cells.get((kind, key, name)) for name in QUALITY_DIMENSIONS],
        }
        for _, kind, key in subjects
        # What nothing is known of takes no row.
        if cells[kind, key, "overall"]["status"] != "no_subjects" or cells[kind, key, "overall"]["anomalies"]
    ]


def _check_matrix(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each dataset, with a cell, or None, for each of ``QUALITY_DIMENSIONS``."""
    cells = {(row["system"], row["dataset"], row["quality_dimension"]): row for row in checks}
    datasets = sorted({(row["system"], row["dataset"]) for row in checks})
    return [
        {
            "system": system,
            "dataset": dataset,
            "cells": [cells.get((system, dataset, name)) for name in QUALITY_DIMENSIONS],
        }
        for system, dataset in datasets
    ]


def _read_rankings(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """For each dimension its first ranks, how many keys it has, and how many anomalies belong to none."""
    ranks = _grouped(rows_of(con, "rankings", {"top": TOP_RANKS}), "dimension")
    unranked = {row["dimension_set"]: row["anomalies"] for row in rows_of(con, "unranked")}
    return [
        {
            "dimension": dimension,
            "rows": [
                row | {"width": round(100 * row["anomalies"] / ranks[dimension][0]["anomalies"], 1)}
                for row in ranks.get(dimension, ())
            ],
            "keys": ranks[dimension][0]["keys"] if dimension in ranks else 0,
            "without": unranked.get(column, 0),
        }
        for dimension, column in RANKED
    ]


def _grouped(rows: list[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def _first(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    return rows[0] if rows else None
