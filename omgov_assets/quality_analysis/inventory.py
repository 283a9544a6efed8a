"""The inventory of a day: the metric instances of all business systems as one view.

Does not belong here: counting them (``statistics``, ``scorecards``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import columns_or_null
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
    today, versions = rows_of_systems(lake, con, day, INSTANCES, systems, _COLUMNS)
    today.create_view("instances")
    if last_known:
        before = _no_rows(con, _COLUMNS)
        for number, system in enumerate(with_derived(systems)):
            days = lake.days(f"{system}/{INSTANCES}")
            earlier = [other for other in days if day - timedelta(days=LAST_KNOWN_DAYS) <= other < day]
            if day not in days and earlier:
                lake.register(con, f"last_known_{number}", f"{system}/{INSTANCES}", earlier[-1])
                before = before.union(_shown(con, f"last_known_{number}", _COLUMNS))
        before.create_view("last_known_instances")
    return versions


def rows_of_systems(
    lake: Lake,
    con: duckdb.DuckDBPyConnection,
    day: date,
    dataset: str,
    systems: Sequence[str],
    columns: Mapping[str, str],
) -> tuple[duckdb.DuckDBPyRelation, dict[str, int]]:
    """The rows of a dataset of all systems on a day, derived ones among them.

    Args:
        lake: the lake.
        con: a connection of it.
        day: business day.
        dataset: name of the dataset.
        systems: business systems.
        columns: DuckDB type by column that is read; null where the firm's contract has no such column.

    Returns:
        The rows, and table name to Delta version for the tables that hold rows of the day.
    """
    rows, versions = _no_rows(con, columns), dict[str, int]()
    for number, system in enumerate(with_derived(systems)):
        table = f"{system}/{dataset}"
        if lake.has_day(table, day):
            version = lake.register(con, f"{dataset}_{number}", table, day)
            if version is not None:
                versions[table] = version
            rows = rows.union(_shown(con, f"{dataset}_{number}", columns))
    return rows, versions


def with_derived(systems: Sequence[str]) -> list[str]:
    """The systems and the one that derived metrics are kept under, in order."""
    return sorted({*systems, DERIVED_SYSTEM})


def _no_rows(con: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> duckdb.DuckDBPyRelation:
    return con.sql(f"SELECT {columns_or_null(columns, ())} WHERE false")


def _shown(con: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, str]) -> duckdb.DuckDBPyRelation:
    return con.view(view).project(columns_or_null(columns, con.view(view).columns))
