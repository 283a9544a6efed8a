"""The content of a lake as sets of rows, read with DuckDB and delta-rs alone."""

from __future__ import annotations

from pathlib import Path

import duckdb
from deltalake import DeltaTable


def lake_content(lake: Path) -> dict[str, tuple[int, str]]:
    """Number of rows and an order-free digest of all columns, by table."""
    content = {}
    for log in sorted(lake.glob("*/*/_delta_log")):
        table = log.parent
        rows = DeltaTable(table).to_pyarrow_table()
        with duckdb.connect() as con:
            con.register("held", rows)
            count, digest = con.execute(
                "SELECT count(*), md5(string_agg(row_text, chr(30) ORDER BY row_text)) "
                "FROM (SELECT to_json(held)::VARCHAR AS row_text FROM held)"
            ).fetchall()[0]
        content[table.relative_to(lake).as_posix()] = (count, digest)
    return content


def rows_of(lake: Path, table: str, columns: str, where: str = "true") -> list[tuple]:
    """Rows of a table, sorted."""
    with duckdb.connect() as con:
        con.register("held", DeltaTable(lake / table).to_pyarrow_table())
        return con.execute(f"SELECT {columns} FROM held WHERE {where} ORDER BY ALL").fetchall()
