"""The tables of cases as analysis shows them: written by a higher floor, read here as their contracts say.

Does not belong here: what makes a case (``exception_management``).
"""

from __future__ import annotations

from datetime import date

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view

CASES = "exceptions/cases"
CASE_MEMBERS = "exceptions/case_members"
CASE_EVENTS = "exceptions/case_events"
WAIVERS = "exceptions/waivers"


def register_cases(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Make a day's cases readable as the views ``cases`` and ``case_members`` (the open ones); empty where none are."""
    lake.register(con, "cases", CASES, day)
    lake.register(con, "all_members", CASE_MEMBERS, day)
    create_view(con, "case_members", "SELECT * FROM all_members WHERE state = 'open'")
