"""Running the queries that lie beside this module: rows as dictionaries.

Does not belong here: what is asked (``morning``, ``pages``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.data_lake.sql import read_sql

Row = dict[str, Any]


def rows_of(con: duckdb.DuckDBPyConnection, name: str, params: dict[str, Any] | None = None) -> list[Row]:
    """Rows of ``<name>.sql`` with its values bound."""
    return rows_of_query(con, read_sql(Path(__file__).with_name(f"{name}.sql")), params)


def rows_of_query(con: duckdb.DuckDBPyConnection, query: str, params: dict[str, Any] | None = None) -> list[Row]:
    """Rows of a query with its values bound."""
    rows: list[Row] = con.sql(query, params=params or {}).to_arrow_table().to_pylist()
    return rows
