"""Governed snapshots: what a decision leaves of a table as one Parquet file, made once for a class of principals.

A snapshot is a function of what its readers may see and of nothing else: rows are in the order of the values shown,
row groups have a fixed size, and masked columns have no statistics. Two lakes that differ in hidden rows or values give
the same bytes. Does not belong here: deciding (``decision``), handing files out (``interface_service``).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from omgov_assets.access_control.decision import Decision
from omgov_assets.access_control.governed_query import GovernedSelect, governed_select
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import ARROW_TYPES
from omgov_assets.data_lake.sql import identifier, literal

ROWS_PER_GROUP = 131_072
_BATCH_ROWS = 32_768


@dataclass(frozen=True)
class Snapshot:
    """A governed snapshot on disk.

    Attributes:
        path: the Parquet file; its columns are those of ``Decision.shown``.
        rows: number of its rows.
        versions: Delta version that was read by table.
        was_there: whether an earlier reader of the same class had it made.
    """

    path: Path
    rows: int
    versions: dict[str, int | None]
    was_there: bool

    @property
    def scan(self) -> str:
        """The snapshot as what stands behind FROM."""
        return f"read_parquet({literal(str(self.path))}, hive_partitioning = false)"

    def relation(self, con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """The snapshot as a relation of a connection."""
        return con.sql(f"FROM {self.scan}")


def governed_snapshot(
    lake: Lake,
    decision: Decision,
    day: date | None,
    folder: Path,
    key: MaskKey | None = None,
    version: int | None = None,
) -> Snapshot:
    """The snapshot of a day of a dataset (of all days where ``day`` is None), made where it is not there yet.

    Args:
        lake: where the tables are.
        decision: what the principal sees.
        day: business day.
        folder: where snapshots are kept; ``Settings.governed``.
        key: key of ``hmac`` masks that was decided with.
        version: the dataset as of a version; None for the last one.

    Raises:
        AccessDeniedError: the decision is a denial, or it was made with another key of masks.
        SchemaMismatchError: the table was written by another contract.
        UnknownVersionError: the dataset has no such version.
    """
    select = governed_select(lake, decision, day, key, version)
    name = _cache_name(decision, select)
    path = folder / decision.dataset / (day.isoformat() if day else "all") / f"{name}.parquet"
    try:
        # Says that it is in use; see ``prune_snapshots``.
        os.utime(path)
        was_there = True
    except FileNotFoundError:
        _write(lake, decision, select, path)
        was_there = False
    return Snapshot(path, pq.read_metadata(path).num_rows, select.versions, was_there)


def prune_snapshots(folder: Path, unused_since: datetime) -> int:
    """Delete the snapshots that nobody has asked for since a time, and what a killed process left; returns how many.

    Nothing but time is lost with a snapshot: it is made anew when somebody asks.
    """
    pruned = 0
    for path in folder.rglob("*"):
        if path.suffix in (".parquet", ".part") and path.stat().st_mtime < unused_since.timestamp():
            path.unlink()
            pruned += 1
    return pruned


def _cache_name(decision: Decision, select: GovernedSelect) -> str:
    """By table versions, policy hash and class of principals; the statement names the very files that are read."""
    digest = hashlib.sha256()
    for part in (repr(sorted(select.versions.items())), select.sql, decision.policy_hash, decision.principal_class):
        digest.update(part.encode() + b"\x1f")
    return digest.hexdigest()[:32]


def _write(lake: Lake, decision: Decision, select: GovernedSelect, path: Path) -> None:
    """Write beside the path and move into place: nobody ever reads a part of a snapshot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            with lake.connect() as con:
                rows = con.sql(_in_order(decision, select), params=select.parameters)
                _write_parquet(rows.to_arrow_reader(_BATCH_ROWS), decision, file)
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _in_order(decision: Decision, select: GovernedSelect) -> str:
    """The rows in the order of the values shown. DuckDB takes 0.0 and -0.0 for equal, which are not the same bytes."""
    numbers = [identifier(column.name) for column in decision.shown if column.sql_type == "DOUBLE"]
    order = [*(identifier(column.name) for column in decision.shown), *(f"signbit({name})" for name in numbers)]
    nulls_last = ", ".join(f"{term} NULLS LAST" for term in order)
    return f"SELECT * FROM ({select.sql}) AS shown ORDER BY {nulls_last}"  # noqa: S608 - identifiers are quoted


def _write_parquet(reader: pa.RecordBatchReader, decision: Decision, file: object) -> None:
    # All may be null: whether a masked column is required is nobody's business either.
    schema = pa.schema([pa.field(column.name, ARROW_TYPES[column.sql_type]) for column in decision.shown])
    open_columns = [column.name for column in decision.shown if column.shown == "visible"]
    with pq.ParquetWriter(file, schema, compression="snappy", write_statistics=open_columns or False) as writer:
        for group in _groups(reader, schema):
            writer.write_table(group, row_group_size=ROWS_PER_GROUP)


def _groups(reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows in tables of exactly ``ROWS_PER_GROUP``, the last one shorter, whatever batches they come in."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader:
        while batch.num_rows:
            taken = batch.slice(0, ROWS_PER_GROUP - rows)
            held.append(taken)
            rows += taken.num_rows
            batch = batch.slice(taken.num_rows)
            if rows == ROWS_PER_GROUP:
                yield _table(held, schema)
                held, rows = [], 0
    if held:
        yield _table(held, schema)


def _table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches).combine_chunks().cast(schema)
