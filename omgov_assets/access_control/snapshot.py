"""Governed snapshots: what a decision leaves of a table as one Parquet file, made once for a class of principals.

A snapshot is a function of what its readers may see and of nothing else: rows are in the order of the values shown,
row groups have a fixed size, and masked columns have no statistics. Two lakes that differ in hidden rows or values give
the same bytes. Does not belong here: deciding (``decision``), handing files out (``interface_service``).
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any

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


# `<dataset>/<day, all or changes>/<name>`.
_SNAPSHOT_ID = re.compile(r"[a-z0-9_]+/[a-z0-9_]+/(\d{4}-\d{2}-\d{2}|all|changes)/[0-9a-f]{32}", re.ASCII)


class UnknownSnapshotError(LookupError):
    """There is no governed file of that name, or none any more."""


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
    def snapshot_id(self) -> str:
        """Its name: ``<dataset>/<day or all>/<name>``, the name a hash of all that it was made of."""
        return snapshot_id(self.path)

    @property
    def day(self) -> date | None:
        """Its business day; None for all days."""
        return None if self.path.parent.name == "all" else date.fromisoformat(self.path.parent.name)

    @property
    def scan(self) -> str:
        """The snapshot as what stands behind FROM."""
        return f"read_parquet({literal(str(self.path))}, hive_partitioning = false)"

    def relation(self, con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
        """The snapshot as a relation of a connection."""
        return con.sql(f"FROM {self.scan}")


@dataclass(frozen=True)
class Planned:
    """A snapshot that a decision gives, whether it is on disk or not.

    Attributes:
        decision: what is shown of the dataset.
        select: the statement that it is made by.
        path: where it is, or is to be.
    """

    decision: Decision
    select: GovernedSelect
    path: Path

    @property
    def snapshot_id(self) -> str:
        """Its name; see ``Snapshot.snapshot_id``."""
        return snapshot_id(self.path)

    def made(self, lake: Lake) -> Snapshot:
        """The snapshot, made where it is not there yet."""
        statement = _in_order(self.decision, self.select)
        rows, was_there = kept_rows(lake, self.path, self.decision, statement, self.select.parameters)
        return Snapshot(self.path, rows, self.select.versions, was_there)


def planned_snapshot(
    lake: Lake,
    decision: Decision,
    day: date | None,
    folder: Path,
    key: MaskKey | None = None,
    version: int | None = None,
) -> Planned:
    """Which snapshot a decision gives of a day of a dataset (of all days where ``day`` is None).

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
    name = cache_name(decision, repr(sorted(select.versions.items())), select.sql)
    return Planned(decision, select, snapshot_path(folder, decision.dataset, day, name))


def kept_rows(
    lake: Lake,
    path: Path,
    decision: Decision,
    statement: str,
    parameters: dict[str, Any],
    more: Sequence[tuple[str, pa.DataType]] = (),
) -> tuple[int, bool]:
    """Have a governed file at a path, written where it is not there yet.

    Args:
        lake: where the tables are.
        path: where the file is, or is to be; its name stands for all that it is made of (``cache_name``).
        decision: what its columns are shown by.
        statement: gives its rows in their order: the columns shown, and those of ``more`` after them.
        parameters: values of the statement.
        more: further columns.

    Returns:
        How many rows the file has, and whether it was there.
    """
    was_there = is_in_use(path)
    if not was_there:
        with being_written(path) as file, lake.connect() as con:
            rows = con.sql(statement, params=parameters)
            write_rows(rows.to_arrow_reader(_BATCH_ROWS), decision, file, more)
    return pq.read_metadata(path).num_rows, was_there


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


def cache_name(decision: Decision, *made_of: str) -> str:
    """A file's name by all that it is made of, the rules, and the class of principals.

    Of what a file is made the statement is part, which names the very files that are read.
    """
    digest = hashlib.sha256()
    for part in (*made_of, decision.policy_hash, decision.principal_class):
        digest.update(part.encode() + b"\x1f")
    return digest.hexdigest()[:32]


def snapshot_path(folder: Path, dataset: str, day: date | None, name: str) -> Path:
    """Where a snapshot of a name is kept."""
    return folder / dataset / (day.isoformat() if day else "all") / f"{name}.parquet"


def snapshot_id(path: Path) -> str:
    """The name of a governed file: ``<dataset>/<day, all or changes>/<name>``."""
    return "/".join((*path.parts[-4:-1], path.stem))


def governed_file(folder: Path, name: str) -> Path:
    """The governed file of a name (``snapshot_id``) below a folder; it counts as used.

    Raises:
        UnknownSnapshotError: that is no name of one, or there is none of it.
    """
    if not _SNAPSHOT_ID.fullmatch(name):
        raise UnknownSnapshotError("that is no name of a governed file")
    path = folder / f"{name}.parquet"
    # The name cannot lead out of the folder; neither may a link that somebody put into it.
    if path.resolve() != folder.resolve() / f"{name}.parquet" or not path.is_file() or not is_in_use(path):
        raise UnknownSnapshotError(f"there is no governed file {name}")
    return path


def is_in_use(path: Path) -> bool:
    """Whether a governed file is there; it is then spared by ``prune_snapshots`` for a while."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def being_written(path: Path) -> Iterator[IO[bytes]]:
    """A file beside the path that is moved into place at the end: nobody ever reads a part of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def total_order(decision: Decision) -> list[str]:
    """Terms that order rows by the values shown. DuckDB takes 0.0 and -0.0 for equal, which are not the same bytes."""
    numbers = [identifier(column.name) for column in decision.shown if column.sql_type == "DOUBLE"]
    order = [*(identifier(column.name) for column in decision.shown), *(f"signbit({name})" for name in numbers)]
    return [f"{term} NULLS LAST" for term in order]


def _in_order(decision: Decision, select: GovernedSelect) -> str:
    return f"SELECT * FROM ({select.sql}) AS shown ORDER BY {', '.join(total_order(decision))}"  # noqa: S608 - identifiers are quoted


def write_rows(
    reader: pa.RecordBatchReader, decision: Decision, file: object, more: Sequence[tuple[str, pa.DataType]] = ()
) -> None:
    """Write rows of the columns shown, and of ``more`` after them, as Parquet."""
    # All may be null: whether a masked column is required is nobody's business either.
    fields = [pa.field(column.name, ARROW_TYPES[column.sql_type]) for column in decision.shown]
    schema = pa.schema(fields + [pa.field(*one) for one in more])
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
