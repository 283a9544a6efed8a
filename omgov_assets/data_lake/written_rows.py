"""Rows on their way into a table: exactly those of its contract, in its order, as a stream, and how they are encoded.

Owns one rule: nothing is cast but the spellings of one and the same Arrow type (delta-rs casts silently). Does not
belong here: committing them (``lake``, ``new_partition``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pyarrow as pa
from deltalake import ColumnProperties, WriterProperties

from omgov_assets.data_lake.new_partition import require_rows
from omgov_assets.data_lake.schema_evolution import SchemaMismatchError, same_type
from omgov_assets.data_lake.schemas import TableSchema

BATCH_ROWS = 16_384
BATCHES_AHEAD = 8


def writer_properties(schema: TableSchema) -> WriterProperties:
    """No dictionaries where hardly a value comes twice (record numbers, keys, measures): they only cost time."""
    plain = ColumnProperties(dictionary_enabled=False)
    once = {"_record_no", *(schema.key if len(schema.key) == 1 else ())}
    varied = {column.name: plain for column in schema.columns if column.sql_type == "DOUBLE" or column.name in once}
    return WriterProperties(compression="SNAPPY", column_properties=varied)


def exact_rows(
    rows: pa.Table | duckdb.DuckDBPyRelation, schema: TableSchema, expected_rows: int | None
) -> pa.RecordBatchReader:
    """The rows as a stream in contract order; nothing is cast but the spellings of one and the same Arrow type."""
    missing = [name for name in schema.names if name not in _columns(rows)]
    extra = [name for name in _columns(rows) if name not in schema.names]
    if missing or extra:
        raise SchemaMismatchError(f"{schema.name}: missing columns {missing}, unexpected columns {extra}")
    if isinstance(rows, duckdb.DuckDBPyRelation):
        ordered = rows.select(*[duckdb.ColumnExpression(name) for name in schema.names])
        reader = ordered.to_arrow_reader(BATCH_ROWS)
    else:
        reader = rows.select(schema.names).to_reader(BATCH_ROWS)
    for found, expected in zip(reader.schema, schema.arrow, strict=True):
        if not same_type(found.type, expected.type):
            raise SchemaMismatchError(
                f"{schema.name}.{found.name}: type {found.type} where the contract says {expected.type}"
            )
    batches = (_recast(batch, schema.arrow) for batch in reader)
    return pa.RecordBatchReader.from_batches(schema.arrow, _counted(_made_ahead(batches), schema, expected_rows))


def _counted(
    batches: Iterator[pa.RecordBatch], schema: TableSchema, expected_rows: int | None
) -> Iterator[pa.RecordBatch]:
    """The same batches; raises at their end, before anything is committed, where there are not the expected rows."""
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        yield batch
    require_rows(schema, rows, expected_rows)


def _made_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches; the next ones are computed while delta-rs encodes one, which it does on a single thread."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="lake-rows") as worker:
        pending = deque(worker.submit(next, batches, None) for _ in range(BATCHES_AHEAD))
        while (batch := pending.popleft().result()) is not None:
            pending.append(worker.submit(next, batches, None))
            yield batch


def _columns(rows: pa.Table | duckdb.DuckDBPyRelation) -> list[str]:
    return list(rows.columns) if isinstance(rows, duckdb.DuckDBPyRelation) else rows.column_names


def _recast(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    if batch.schema.equals(schema):
        return batch
    arrays = [
        array if array.type == field.type else array.cast(field.type)
        for array, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
