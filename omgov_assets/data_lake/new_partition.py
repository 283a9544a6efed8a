"""Rows of a partition that has none yet, written by DuckDB itself, on all cores; delta-rs commits the file.

delta-rs encodes on one thread, which takes longer than all that makes the rows. Where nothing is replaced, its part is
the commit alone. What may be written is decided as strictly as by delta-rs: exact types, no null where the contract
requires a value, no row of another partition. Does not belong here: replacing rows (``lake``).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TypeGuard

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.transaction import AddAction

from omgov_assets.data_lake import sql
from omgov_assets.data_lake.schemas import Column, TableSchema

ROW_GROUP_ROWS = 122_880

# How DuckDB calls the types of contracts.
_DUCKDB_NAMES = {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}


class NullInRequiredColumnError(ValueError):
    """A row without a value that the contract requires; nothing was committed."""


class RowCountError(ValueError):
    """More or fewer rows than there must be; nothing was committed."""


def takes(rows: pa.Table | duckdb.DuckDBPyRelation, schema: TableSchema) -> TypeGuard[duckdb.DuckDBPyRelation]:
    """Whether rows can be written here: they come from DuckDB, in exactly the types of the contract.

    Of lists a file does not tell whether one is null or empty.
    """
    if not isinstance(rows, duckdb.DuckDBPyRelation) or any(c.sql_type.endswith("[]") for c in schema.columns):
        return False
    found = dict(zip(rows.columns, map(str, rows.types), strict=True))
    return found == {column.name: _DUCKDB_NAMES.get(column.sql_type, column.sql_type) for column in schema.columns}


def partition_of(schema: TableSchema, day: date, where: Mapping[str, object] | None) -> dict[str, str] | None:
    """Partition column to value, where day and conditions name one partition; None where they do not."""
    known: dict[str, object] = {"day": day.isoformat(), **(where or {})}
    values = {name: known.get(name) for name in schema.partition_by}
    return {name: str(value) for name, value in values.items()} if _all_text(values) else None


def write_new_partition(
    delta: DeltaTable,
    path: Path,
    schema: TableSchema,
    partition: Mapping[str, str],
    rows: duckdb.DuckDBPyRelation,
    properties: CommitProperties | None,
    expected_rows: int | None,
) -> bool:
    """Write rows into a partition that holds none, and commit them.

    Args:
        delta: the table.
        path: its folder.
        schema: its schema.
        partition: partition column to value.
        rows: rows that ``takes`` accepts.
        properties: transactions to commit with them.
        expected_rows: how many rows there must be; None for any number.

    Returns:
        Whether they are written: they are not where there is no row, nor where their connection must write no file.

    Raises:
        RowCountError: there are more or fewer rows than expected.
        NullInRequiredColumnError: a required column holds a null.
        duckdb.Error: the rows cannot be computed, or one is of another partition.
    """
    columns = [column for column in schema.columns if column.name not in partition]
    named = ", ".join(sql.identifier(column.name) for column in columns)
    elsewhere = " OR ".join(
        f"{sql.identifier(name)} IS DISTINCT FROM {sql.literal(value)}::{_type_of(schema, name)}"
        for name, value in partition.items()
    )
    folder = path.joinpath(*(f"{name}={value}" for name, value in partition.items()))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
    # Where the partition is a constant of the query, as it mostly is, this costs nothing.
    is_of_partition = f"CASE WHEN {elsewhere} THEN error('a row is of another partition') ELSE true END"
    checked = rows.filter(duckdb.SQLExpression(is_of_partition)).project(named)
    try:
        checked.write_parquet(str(file), compression="snappy", row_group_size=ROW_GROUP_ROWS)
    except duckdb.PermissionException:
        return False  # a connection that is kept from files, for the SQL that it runs
    written = pq.read_metadata(file)
    try:
        require_rows(schema, written.num_rows, expected_rows)
        _require_values(schema, columns, written)
    except ValueError:
        file.unlink()
        raise
    if written.num_rows == 0:
        file.unlink()
        return False
    action = AddAction(
        path=file.relative_to(path).as_posix(),
        size=file.stat().st_size,
        partition_values=dict(partition),
        modification_time=int(file.stat().st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": written.num_rows}),
    )
    delta.create_write_transaction(
        [action], "append", delta.schema(), schema.partition_by, commit_properties=properties
    )
    return True


def require_rows(schema: TableSchema, rows: int, expected: int | None) -> None:
    """Raise ``RowCountError`` where there are more or fewer rows than expected."""
    if expected is not None and rows != expected:
        raise RowCountError(f"{schema.name}: {rows} rows where {expected} were expected; nothing was written")


def _require_values(schema: TableSchema, columns: Sequence[Column], metadata: pq.FileMetaData) -> None:
    nulls = _null_counts(metadata)
    missing = [column.name for column in columns if column.required and metadata.num_rows and nulls[column.name]]
    if missing:
        raise NullInRequiredColumnError(f"{schema.name}: {', '.join(missing)} is null in some row")


def _null_counts(metadata: pq.FileMetaData) -> dict[str, int]:
    """Nulls by column; one that the file does not tell of counts as a null."""
    counts: dict[str, int] = {}
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            statistics = chunk.statistics
            told = statistics is not None and statistics.has_null_count
            counts[chunk.path_in_schema] = counts.get(chunk.path_in_schema, 0) + (statistics.null_count if told else 1)
    return counts


def _type_of(schema: TableSchema, name: str) -> str:
    return next(column.sql_type for column in schema.columns if column.name == name)


def _all_text(values: Mapping[str, object]) -> bool:
    return all(isinstance(value, str) for value in values.values())
