"""What a report says of cases: how many there are, and those that need somebody first.

Does not belong here: what makes a case (``exception_management``), laying it out (``templates``).
"""

from __future__ import annotations

import json
from typing import Any

import duckdb

from omgov_assets.quality_analysis.report.queries import rows_of
from omgov_assets.quality_analysis.root_causes.night import ANOMALY_TYPE
from omgov_assets.quality_analysis.root_causes.reading import names_of

_NAMED_GROUPS = ("support_group", "application_group", "assigned")


def read_cases(con: duckdb.DuckDBPyConnection, top: int) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """How many cases the day has, by what is to be done with them, and the first of those that are worked on.

    Args:
        con: a connection with the views cases and case_members and the table ``labels``.
        top: cases at most.

    Returns:
        Counts open, overdue, escalated, waived, new, reopened and closed; and one dictionary per case: the columns of
        ``exceptions/cases``; conditions (attribute to key: where it is), labels (attribute to name for people),
        responsible_name (None for an address), in the order: overdue, severity, open members.
    """
    (counts,) = rows_of(con, "case_counts")
    return counts, placed_cases(con, rows_of(con, "cases", {"top": top}))


def read_cases_of_pages(con: duckdb.DuckDBPyConnection, top: int) -> list[dict[str, Any]]:
    """The first cases of each key of the view ``of_key``: as ``read_cases``, with key, anomalies (of the key, of the
    day) and keys_cases (how many cases it has).
    """
    return placed_cases(con, rows_of(con, "page_cases", {"top": top}))


def placed_cases(con: duckdb.DuckDBPyConnection, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of ``exceptions/cases`` with conditions, labels and responsible_name, as ``read_cases`` has them."""
    for case in cases:
        conditions = {"system": case["scope"]} if case["cause"] is None else json.loads(case["cause"])
        case["conditions"] = {name: key for name, key in conditions.items() if name != ANOMALY_TYPE and key is not None}
    keys = {key for case in cases for key in case["conditions"].values()}
    names = names_of(con, keys | {case["responsible"] for case in cases})
    for case in cases:
        case["labels"] = {name: names.get((name, key), key) for name, key in case["conditions"].items()}
        key = case["responsible"]
        is_group = case["responsible_kind"] in _NAMED_GROUPS
        case["responsible_name"] = names.get(("support_group", key), key) if is_group else None
    return cases
