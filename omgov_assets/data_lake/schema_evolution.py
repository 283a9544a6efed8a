"""A table of the lake against a contract that has changed since the table was made.

Owns one decision: an optional column may come, an optional one may go, and a required one may become optional, with no
day rewritten; every other change is refused, because the days already written would mean something else. Does not
belong here: whether a contract may change (``model_management.contract_changes``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, Schema

from omgov_assets.data_lake import sql
from omgov_assets.data_lake.schemas import ARROW_TYPES, TableSchema

# Marks a column of a Delta table that files written before it came do not have.
_ADDED = "omgov.added"


class SchemaMismatchError(ValueError):
    """Rows, or a table, whose columns or types do not go with the contract."""


@dataclass(frozen=True)
class Drift:
    """How a table differs from its contract.

    Attributes:
        absent: optional columns of the contract that the table does not have yet.
        late: columns of the contract that only the newer files of the table may have.
        left: columns of the table that the contract no longer has.
        relaxed: columns that the table requires and the contract no longer does.
        tightened: columns that the contract requires and the table does not.
        table: the table's columns.
    """

    absent: tuple[str, ...]
    late: tuple[str, ...]
    left: tuple[str, ...]
    relaxed: tuple[str, ...]
    tightened: tuple[str, ...]
    table: pa.Schema

    @property
    def is_none(self) -> bool:
        """Whether rows of the contract are rows of the table as they are."""
        return not (self.absent or self.left or self.relaxed or self.tightened)


def drift_of(delta: DeltaTable, schema: TableSchema, path: Path) -> Drift:
    """How the table differs from its contract.

    Raises:
        SchemaMismatchError: a column is of another type, other columns partition the table, or it lacks a required
            column: its rows cannot be read by the contract.
    """
    table = pa.schema(delta.schema().to_arrow())
    partition_by = delta.metadata().partition_columns
    if partition_by != schema.partition_by:
        problem = f"the table is partitioned by {partition_by}, but by {schema.partition_by} in the contract"
        raise _mismatch(path, problem, "restore the contract")
    absent = []
    for column in schema.columns:
        if column.name not in table.names:
            if column.required:
                problem = f"the contract requires column {column.name}, which the table does not have"
                raise _mismatch(path, problem, f"make {column.name} optional")
            absent.append(column.name)
        elif not same_type(found := table.field(column.name).type, column.arrow.type):
            problem = f"column {column.name} is {_sql_name(found)} in the table, but {column.sql_type} in the contract"
            raise _mismatch(path, problem, f"give the column that is {column.sql_type} another name")
    both = [column for column in schema.columns if column.name in table.names]
    return Drift(
        absent=tuple(absent),
        late=tuple(column.name for column in both if _ADDED.encode() in (table.field(column.name).metadata or {})),
        left=tuple(name for name in table.names if name not in schema.names),
        relaxed=tuple(c.name for c in both if not c.required and not table.field(c.name).nullable),
        tightened=tuple(c.name for c in both if c.required and table.field(c.name).nullable),
        table=table,
    )


def evolve(delta: DeltaTable, schema: TableSchema, drift: Drift, path: Path) -> list[int]:
    """Give the table the columns that the contract has gained, and let be null what it no longer requires.

    Returns:
        The Delta versions committed.

    Raises:
        SchemaMismatchError: the contract requires what the table does not, or no longer has what the table requires.
    """
    for name in drift.tightened:
        problem = f"the contract requires column {name}, which may be null in the table"
        raise _mismatch(path, problem, f"make {name} optional")
    for name in drift.left:
        if not drift.table.field(name).nullable:
            problem = f"the table requires column {name}, which the contract no longer has"
            raise _mismatch(path, problem, f"put {name} back, optional if need be")
    versions = []
    if drift.absent:
        fields = [schema.arrow.field(name).with_metadata({_ADDED: "true"}) for name in drift.absent]
        delta.alter.add_columns(Schema.from_arrow(pa.schema(fields)).fields)
        versions.append(delta.version())
    for name in drift.relaxed:
        delta.alter.drop_column_not_null(name)
        versions.append(delta.version())
    return versions


def table_rows(rows: pa.RecordBatchReader, drift: Drift) -> pa.RecordBatchReader:
    """Rows in contract order as rows in the order of the evolved table, null where the contract has no such column."""
    by_name = {field.name: field for field in rows.schema}
    names = [*drift.table.names, *drift.absent]
    if names == rows.schema.names:
        return rows
    target = pa.schema([by_name.get(name) or drift.table.field(name).remove_metadata() for name in names])

    def extended(batch: pa.RecordBatch) -> pa.RecordBatch:
        arrays = [
            batch.column(field.name) if field.name in by_name else pa.nulls(batch.num_rows, field.type)
            for field in target
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=target)

    return pa.RecordBatchReader.from_batches(target, (extended(batch) for batch in rows))


def scan(schema: TableSchema, files: list[Path], drift: Drift | None) -> str:
    """A query over data files that gives exactly the columns of the contract, null where a file is older than one."""
    absent = drift.absent if drift else ()
    late = drift.late if drift else ()
    if not files:
        nulls = ", ".join(f"NULL::{column.sql_type} AS {sql.identifier(column.name)}" for column in schema.columns)
        return f"SELECT * FROM (SELECT {nulls}) WHERE false"  # noqa: S608 - identifiers are quoted
    columns = ", ".join(
        f"{'NULL' if column.name in absent else sql.identifier(column.name)}::{column.sql_type}"
        f" AS {sql.identifier(column.name)}"
        for column in schema.columns
    )
    types = {column.name: column.sql_type for column in schema.columns}
    paths = ", ".join(sql.literal(str(file)) for file in files)
    hive = ", ".join(f"{sql.literal(name)}: {types[name]}" for name in schema.partition_by)
    options = f"hive_partitioning = true, hive_types = {{{hive}}}"
    if not late:
        return f"SELECT {columns} FROM read_parquet([{paths}], {options})"  # noqa: S608
    # The second part has no row, but names the columns: it may be that none of the files has one of them.
    named = ", ".join(f"NULL::{types[name]} AS {sql.identifier(name)}" for name in late)
    return (
        f"SELECT {columns} FROM (FROM read_parquet([{paths}], {options}, union_by_name = true) "  # noqa: S608
        f"UNION ALL BY NAME SELECT {named} WHERE false)"
    )


def same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether two Arrow types are spellings of one and the same type."""
    if pa.types.is_list(expected) or pa.types.is_large_list(expected):
        return bool(pa.types.is_list(found) and same_type(found.value_type, expected.value_type))
    if pa.types.is_string(expected):
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found))
    if pa.types.is_timestamp(expected):
        # DuckDB names the zone of its session, which is always UTC here.
        return bool(pa.types.is_timestamp(found) and found.unit == "us" and found.tz in {"UTC", "Etc/UTC"})
    return bool(found == expected)


def _sql_name(found: pa.DataType) -> str:
    return next((name for name, arrow in ARROW_TYPES.items() if same_type(found, arrow)), str(found))


def _mismatch(path: Path, problem: str, remedy: str) -> SchemaMismatchError:
    return SchemaMismatchError(f"{path}: {problem}; {remedy}, or move the table away and run its days again")
