"""Reading Parquet: the footer says how many rows there are and how large they will be, and is held to it.

Does not belong here: converting values, which Parquet types already.
"""

from __future__ import annotations

import glob
from pathlib import Path

import duckdb

from omgov_assets.admission.delivered_table import (
    Delivery,
    count_stored,
    not_utf_8,
    require_columns,
    unreadable,
)
from omgov_assets.admission.delivery_limits import require_expansion, require_rows
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.business_systems import Limits, SourceDataset
from omgov_assets.model_management.contracts import ContractColumn

_LOSSLESS = {
    "BIGINT": {"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UINTEGER", "USMALLINT", "UTINYINT"},
    "DOUBLE": {"DOUBLE", "FLOAT"},
    "TIMESTAMPTZ": {"TIMESTAMP WITH TIME ZONE"},
    "TIMESTAMP": {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"},
}
# What a value takes in memory at least, however well it is encoded.
_VALUE_BYTES = 8
_BLOCK_BYTES = 8 << 20


def read_parquet(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Fill ``delivery`` from a Parquet file.

    Raises:
        RefusedBatchError: as ``read_delivery``; ``row_count_mismatch`` where the file does not hold as many rows as its
            footer says.
    """
    columns = dataset.source_contract.columns
    _require_one_file(path)
    file = literal(glob.escape(str(path)))
    try:
        promised = _require_bounded(con, file, path, dataset.transport.limits)
        names = con.execute(f"SELECT name FROM parquet_schema({file}) OFFSET 1").fetchall()  # noqa: S608 - quoted
        described = con.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()  # noqa: S608
        types = {name: sql_type for name, sql_type, *_ in described}
        # DuckDB renames a column that stands twice.
        found = [name for (name,) in names] if len(names) == len(types) else list(types)
        require_columns(path, found, columns)
        for column in columns:
            _require_type(path, column, types[column.delivered_as])
        selected = ", ".join(
            f"{identifier(column.delivered_as)}::{column.sql_type} AS {identifier(column.name)}" for column in columns
        )
        con.execute(
            f"CREATE TEMP TABLE delivery AS SELECT file_row_number + 1 AS _record_no, {selected} "  # noqa: S608
            f"FROM read_parquet({file}, file_row_number = true)"
        )
    except (duckdb.Error, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError) or "string encoding" in str(error):
            raise not_utf_8(path) from error
        raise unreadable(path, "a complete Parquet file", error, columns) from error
    rows_in = count_stored(con)
    if rows_in != promised:
        raise RefusedBatchError(
            "row_count_mismatch", f"{path.name} says that it holds {promised} rows but holds {rows_in}; {ASK_AGAIN}"
        )
    return Delivery(rows_in, "typed", ())


def _require_bounded(con: duckdb.DuckDBPyConnection, file: str, path: Path, limits: Limits) -> int:
    """Rows by the footer, which is all that is read for it.

    Runs of one value take almost nothing in the file, encoded, and a value's size each in memory.
    """
    rows, groups, group_rows, data_bytes, values = one_row(
        con,
        f"""
        SELECT any_value(f.num_rows), any_value(f.num_row_groups), any_value(c.group_rows), any_value(c.data_bytes),
               any_value(c.stored_values)
        FROM parquet_file_metadata({file}) AS f
        CROSS JOIN (
            SELECT sum(row_group_num_rows) FILTER (column_id = 0)::HUGEINT AS group_rows,
                   sum(total_uncompressed_size)::HUGEINT AS data_bytes, sum(num_values)::HUGEINT AS stored_values
            FROM parquet_metadata({file})
        ) AS c
        """,  # noqa: S608 - the path is quoted
    )
    rows, group_rows = int(rows or 0), int(group_rows or 0)
    require_rows(path, max(rows, group_rows), limits)
    memory_bytes = max(int(data_bytes or 0), int(values or 0) * _VALUE_BYTES)
    require_expansion(path.name, path.stat().st_size, memory_bytes, limits)
    if groups and rows != group_rows:
        raise RefusedBatchError(
            "row_count_mismatch",
            f"{path.name} says that it holds {rows} rows, and {group_rows} in its row groups; {ASK_AGAIN}",
        )
    return rows


def _require_one_file(path: Path) -> None:
    """Of two Parquet files one behind the other only the last one would be read."""
    seam, tail = b"PAR1PAR1", b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            text = tail + block
            end = text.find(seam)
            # In front of the first file's closing mark stands the length of its footer.
            if end >= 4 and 0 < int.from_bytes(text[end - 4 : end], "little") < path.stat().st_size:
                raise RefusedBatchError(
                    "unreadable", f"{path.name} is two Parquet files, one behind the other; deliver them as two files"
                )
            tail = text[-len(seam) - 3 :]


def _require_type(path: Path, column: ContractColumn, found: str) -> None:
    if found not in _LOSSLESS.get(column.sql_type, {column.sql_type}):
        raise RefusedBatchError(
            "retyped_column",
            f"{path.name}: column {column.delivered_as} is {found} where the source contract says {column.sql_type}; "
            f"{ASK_AGAIN}, or publish a new contract version",
        )
