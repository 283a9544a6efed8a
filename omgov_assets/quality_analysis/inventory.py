"""The inventory of a day: the metric instances of all business systems as one view.

Does not belong here: counting them (``statistics``, ``scorecards``).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM

INSTANCES = "metric_instances"

# How far back the last delivery of a system is looked for that delivered nothing on the day.
LAST_KNOWN_DAYS = 31

_COLUMNS = {
    "system": "VARCHAR",
    "instance_id": "VARCHAR",
    "metric": "VARCHAR",
    "ci_id": "VARCHAR",
    "collector": "VARCHAR",
    "last_seen_at": "TIMESTAMPTZ",
}


def register_inventory(
    lake: Lake, con: duckdb.DuckDBPyConnection, day: date, systems: Sequence[str], last_known: bool = False
) -> dict[str, int]:
    """Make the metric instances of a day readable as the view ``instances``.

    Columns: system, instance_id, metric, ci_id, collector, last_seen_at. Derived instances are among them.

    Args:
        lake: the lake.
        con: a connection of it.
        day: business day.
        systems: business systems.
        last_known: also create the view ``last_known_instances`` of the same columns: for each system without
            instances on the day, those of its last day that has any.

    Returns:
        Table name to Delta version, for the tables that hold instances of the day.
    """
    versions: dict[str, int] = {}
    today, before = _none(con), _none(con)
    for number, system in enumerate(sorted({*systems, DERIVED_SYSTEM})):
        table = f"{system}/{INSTANCES}"
        days = lake.days(table)
        if day in days:
            version = lake.register(con, f"instances_{number}", table, day)
            if version is not None:
                versions[table] = version
            today = today.union(_shown(con, f"instances_{number}"))
        elif last_known:
            earlier = [other for other in days if day - timedelta(days=LAST_KNOWN_DAYS) <= other < day]
            if earlier:
                lake.register(con, f"instances_{number}", table, earlier[-1])
                before = before.union(_shown(con, f"instances_{number}"))
    today.create_view("instances")
    before.create_view("last_known_instances")
    return versions


def _none(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    columns = ", ".join(f"NULL::{sql_type} AS {name}" for name, sql_type in _COLUMNS.items())
    return con.sql(f"SELECT {columns} WHERE false")


def _shown(con: duckdb.DuckDBPyConnection, view: str) -> duckdb.DuckDBPyRelation:
    """The view's columns that analysis reads; null where the firm's contract has no such column."""
    there = set(con.view(view).columns)
    return con.view(view).select(
        *[
            duckdb.ColumnExpression(name)
            if name in there
            else duckdb.ConstantExpression(None).cast(duckdb.type(sql_type)).alias(name)
            for name, sql_type in _COLUMNS.items()
        ]
    )
