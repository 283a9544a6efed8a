"""Reading a table of several days, by their partitions alone.

Does not belong here: what is computed from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view


def register_history(lake: Lake, con: duckdb.DuckDBPyConnection, view: str, table: str, last: date, days: int) -> None:
    """Make so many days of a table, up to ``last``, readable as a view."""
    first = last - timedelta(days=days)
    register_days(lake, con, view, table, (day for day in lake.days(table) if first < day <= last))


def register_days(lake: Lake, con: duckdb.DuckDBPyConnection, view: str, table: str, days: Iterable[date]) -> None:
    """Make some days of a table readable as a view; without any, an empty one."""
    lake.register(con, f"{view}_none", table, date.max)
    parts = [f"FROM {view}_none"]
    for number, day in enumerate(days):
        lake.register(con, f"{view}_{number}", table, day)
        parts.append(f"FROM {view}_{number}")
    create_view(con, view, " UNION ALL ".join(parts))
