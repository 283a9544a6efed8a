"""The steward's morning page: what is wrong, where, since when and whose, on one static page for a day.

Belongs here: which figures the page shows, and rendering it. Does not belong here: computing statistics or
rankings. The page holds names of owners and groups, but neither their addresses nor any value of a record.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.rankings import RANKINGS, NotRankedError
from omgov_assets.quality_analysis.statistics import STATISTICS
from omgov_assets.quality_policy.violations import CHECK_RESULTS, NOT_DELIVERED

LEDGER = "admission/ledger"

TOP_FINDINGS = 12
TOP_RANKS = 10
DELIVERIES_SHOWN = 60

# A place that holds at least half of a finding is where to look first.
CONCENTRATED = 0.5

QUALITY_DIMENSIONS = (
    "accuracy",
    "completeness",
    "conformity",
    "consistency",
    "coverage",
    "timeliness",
    "uniqueness",
)

# Dimension of the rankings, its column in the cube, and its heading; who has to act comes first.
RANKED = (
    ("support_group", "support_group_id", "Support groups"),
    ("owner", "owner_id", "Owners"),
    ("application", "application_id", "Applications"),
    ("anomaly_type", "anomaly_type", "Anomaly types"),
    ("system", "system", "Business systems"),
    ("metric", "metric", "Metrics"),
    ("host", "host_id", "Hosts"),
    ("network_device", "network_device_id", "Network devices"),
    ("site", "site_id", "Sites"),
    ("collector", "collector", "Collectors"),
    ("severity", "severity", "Severities"),
)

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Morning:
    """Everything the page shows of a day, read from the lake; the template only lays it out."""

    day: date
    compared_with: date | None
    total: dict[str, Any]
    standing_since: date | None
    findings: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    deliveries_by_decision: dict[str, int]
    checks: list[dict[str, Any]]
    unjudged: list[dict[str, Any]]
    rankings: list[dict[str, Any]]

    @property
    def policies_not_evaluated(self) -> int:
        """Verdicts that are missing because the data was."""
        return sum(row["policies"] for row in self.unjudged if row["verdict"] == "not_evaluated")

    @property
    def policies_in_error(self) -> int:
        """Verdicts that are missing because the policy broke."""
        return sum(row["policies"] for row in self.unjudged if row["verdict"] == "error")


def write_report(lake: Lake, day: date, out_folder: Path) -> Path:
    """Write the page of a day to ``<out_folder>/<day>/index.html``, in place of an earlier one.

    The page is one file without script, and a function of the lake's content alone.

    Returns:
        The path of the page.

    Raises:
        NotRankedError: the day was never analysed.
    """
    page = _template().render(morning=read_morning(lake, day))
    target = out_folder / day.isoformat() / "index.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".html.part")
    unfinished.write_text(page, encoding="utf-8")
    unfinished.replace(target)
    return target


def read_morning(lake: Lake, day: date) -> Morning:
    """Read what the page shows. Raises ``NotRankedError`` where the day was never analysed."""
    if not lake.has_day(STATISTICS, day):
        raise NotRankedError(f"{day} is not analysed: govern it first with `omgov run --day {day}`")
    with lake.connect() as con:
        lake.register(con, "statistics", STATISTICS, day)
        lake.register(con, "rankings", RANKINGS, day)
        lake.register(con, "anomalies", ANOMALIES, day)
        lake.register(con, "check_results", CHECK_RESULTS, day)
        lake.register(con, "ledger", LEDGER, day)
        deliveries = _rows(con, _query("report_deliveries"), {"not_delivered": NOT_DELIVERED})
        for delivery in deliveries:
            delivery["quarantine_reasons"] = json.loads(delivery["quarantine_reasons"] or "{}")
        yesterday = day - timedelta(days=1)
        return Morning(
            day=day,
            compared_with=yesterday if lake.has_day(STATISTICS, yesterday) else None,
            total=_rows(con, "FROM statistics WHERE dimension_set = 'all'")[0],
            standing_since=_rows(con, "SELECT min(first_seen_day) AS since FROM anomalies")[0]["since"],
            findings=[_placed(row) for row in _rows(con, _query("report_findings"), {"top": TOP_FINDINGS})],
            deliveries=deliveries,
            deliveries_by_decision=_count_by_decision(deliveries),
            checks=_check_matrix(_rows(con, _query("report_checks"))),
            unjudged=_rows(con, _query("report_unjudged")),
            rankings=_read_rankings(con),
        )


def _count_by_decision(deliveries: list[dict[str, Any]]) -> dict[str, int]:
    counts = dict.fromkeys(("admitted", "partial", "refused", "not_delivered", "repeated", "superseded"), 0)
    for delivery in deliveries:
        counts[delivery["decision"]] += 1
    return counts


def _placed(finding: dict[str, Any]) -> dict[str, Any]:
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
    ranks: dict[str, list[dict[str, Any]]] = {dimension: [] for dimension, _, _ in RANKED}
    for row in _rows(con, _query("report_rankings"), {"top": TOP_RANKS}):
        ranks[row["dimension"]].append(row)
    unranked = {row["dimension_set"]: row["anomalies"] for row in _rows(con, _query("report_unranked"))}
    return [
        {
            "title": title,
            "noun": dimension.replace("_", " "),
            "rows": [
                row | {"width": round(100 * row["anomalies"] / ranks[dimension][0]["anomalies"], 1)}
                for row in ranks[dimension]
            ],
            "keys": ranks[dimension][0]["keys"] if ranks[dimension] else 0,
            "without": unranked.get(column, 0),
        }
        for dimension, column, title in RANKED
    ]


def _rows(con: duckdb.DuckDBPyConnection, query: str, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = con.sql(query, params=params or {}).to_arrow_table().to_pylist()
    return rows


def _query(name: str) -> str:
    return read_sql(_HERE / f"{name}.sql")


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _as_count, "percent": _as_percent, "change": _as_change}
    environment.globals |= {
        "quality_dimensions": QUALITY_DIMENSIONS,
        "deliveries_shown": DELIVERIES_SHOWN,
        "top_ranks": TOP_RANKS,
        "concentrated": CONCENTRATED,
    }
    return environment.get_template("report.html.j2")


def _as_count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _as_percent(share: float | None) -> str:
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %"


def _as_change(number: int | None) -> str:
    if number is None:
        return "–"
    return f"+{number:,}" if number > 0 else f"−{-number:,}" if number < 0 else "±0"
