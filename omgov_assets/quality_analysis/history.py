"""Reading a table of several days, by their partitions alone.

Does not belong here: what is computed from it.
"""

from __future__ import annotations

from datetime import date, timedelta

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view


def register_history(lake: Lake, con: duckdb.DuckDBPyConnection, view: str, table: str, last: date, days: int) -> None:
    """Make so many days of a table, up to ``last``, readable as a view."""
    lake.register(con, f"{view}_none", table, last + timedelta(days=36_500))
    parts = [f"FROM {view}_none"]
    for number, day in enumerate(lake.days(table)):
        if last - timedelta(days=days) < day <= last:
            lake.register(con, f"{view}_{number}", table, day)
            parts.append(f"FROM {view}_{number}")
    create_view(con, view, " UNION ALL ".join(parts))
