"""The lake: Delta tables by day, written exactly, read through DuckDB views.

Owns three decisions: a slice is *replaced*, never appended twice; a schema must match exactly before a byte is written
(delta-rs casts silently); and what is committed is on disk (delta-rs does not fsync). Does not belong here: how a table
follows a contract that changes (``schema_evolution``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from omgov_assets.data_lake import commits, new_partition, sql
from omgov_assets.data_lake.connections import KeptConnection, open_connection
from omgov_assets.data_lake.durability import fsync
from omgov_assets.data_lake.locks import sole_holder
from omgov_assets.data_lake.schema_evolution import drift_of, evolve, scan, table_rows
from omgov_assets.data_lake.schemas import TableSchema, table_schema
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_lake.written_rows import exact_rows, writer_properties

COMMIT_ATTEMPTS = 5
MOST_EARLIER_VERSIONS = 32


@dataclass(frozen=True)
class _Handle:
    """An opened table and the identity of the commit it was opened at."""

    delta: DeltaTable
    identity: tuple[int, int] | None

    def is_current(self, path: Path) -> bool:
        """Whether no commit has come since, and the table is still the same one."""
        version = self.delta.version()
        return (
            self.identity == commits.commit_identity(path, version)
            and commits.commit_identity(path, version + 1) is None
        )


# Opening a table replays its log: the handle is kept for as long as nothing is committed to it.
_handles: dict[Path, _Handle] = {}
_earlier: dict[tuple[object, ...], DeltaTable] = {}


class UnknownVersionError(LookupError):
    """A version that a table does not have, or that cannot be read any more."""


class Lake:
    """Delta tables below one folder.

    Args:
        root: folder of the tables.
        dataset_contracts: folder with the contracts of the standard datasets; default the project's.
        memory_limit: what DuckDB may hold in memory before it spills.
    """

    def __init__(self, root: Path, dataset_contracts: Path | None = None, memory_limit: str = "1GB") -> None:
        self.root = root
        self.dataset_contracts = dataset_contracts or Settings.from_environment().dataset_contracts
        self.memory_limit = memory_limit
        self._kept = KeptConnection(root.parent / "tmp", memory_limit)

    @contextmanager
    def connect(self, memory_limit: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB connection of its own: in UTC, memory-limited, spilling beside the lake, closed on error."""
        con = open_connection(self.root.parent / "tmp", memory_limit or self.memory_limit)
        try:
            yield con
        finally:
            con.close()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of a connection that is kept for small questions; see ``KeptConnection.cursor``."""
        return self._kept.cursor()

    def schema(self, table: str) -> TableSchema:
        """Schema of a table by its contract. Raises ``UnknownTableError``."""
        return table_schema(table, self.dataset_contracts)

    def open(self, table: str) -> DeltaTable | None:
        """The table at its last version, or None where it was never written."""
        path = self._path(table)
        known = _handles.get(path)
        if known is not None and known.is_current(path):
            return known.delta
        if not (path / "_delta_log").is_dir() or not DeltaTable.is_deltatable(str(path)):
            return None
        delta = DeltaTable(path)
        _handles[path] = _Handle(delta, commits.commit_identity(path, delta.version()))
        return delta

    def version(self, table: str) -> int | None:
        """Last Delta version of a table, or None where it was never written."""
        delta = self.open(table)
        return delta.version() if delta else None

    def state(self, table: str) -> tuple[int, tuple[int, int] | None] | None:
        """What stays the same until something is committed: last version and identity of its commit; None of none."""
        version = self.version(table)
        return None if version is None else (version, commits.commit_identity(self._path(table), version))

    def commit_times(self, table: str) -> dict[int, datetime]:
        """When each version was committed (UTC, milliseconds), oldest first, as far back as the log goes.

        A time is later than that of the version before, as readers of Delta tables take it.
        """
        last = self.version(table)
        return commits.commit_times(self._path(table), last) if last is not None else {}

    def days(self, table: str, version: int | None = None) -> list[date]:
        """Days that have a partition with files, oldest first, as of a version (None for the last one).

        Raises:
            UnknownVersionError: the table has no such version, or none that can be read any more.
        """
        delta = self.open(table) if version is None else self._opened_at(table, version)
        if delta is None:
            return []
        return sorted({date.fromisoformat(str(partition["day"])) for partition in delta.partitions()})

    def has_day(self, table: str, day: date) -> bool:
        """Whether the table holds rows of the day."""
        return day in self.days(table)

    def previous_day(self, table: str, day: date) -> date | None:
        """Latest partition before the day."""
        return max((other for other in self.days(table) if other < day), default=None)

    def register(
        self,
        con: duckdb.DuckDBPyConnection,
        view: str,
        table: str,
        day: date | None,
        partition: Mapping[str, str] | None = None,
    ) -> int | None:
        """Make a day of a table (all days where ``day`` is None) readable as a view of the connection.

        ``partition`` leaves out the files of other partitions, by further columns that the table is partitioned by.

        The view is pinned to the files of the table's last version; it is empty, with the right columns, where the
        table or the day is absent. A column is null in days that are older than it.

        Returns:
            The version that last changed the day: the same rows can be read at it, and it stays the same when other
            days are written. None where the table was never written.

        Raises:
            SchemaMismatchError: the table was written by another contract, which its rows cannot be read without.
        """
        query, version = self.pinned(table, day, partition)
        create_view(con, view, query)
        return version

    def query(self, table: str, day: date | None = None, partition: Mapping[str, str] | None = None) -> str:
        """The SELECT over data files that ``register`` makes a view of. Raises ``SchemaMismatchError``."""
        return self._scan(self.open(table), table, day, partition)

    def pinned(
        self,
        table: str,
        day: date | None = None,
        partition: Mapping[str, str] | None = None,
        version: int | None = None,
        by_name: bool = False,
    ) -> tuple[str, int | None]:
        """The SELECT of ``query`` and the version that ``register`` returns, as of a version (None for the last one).

        ``by_name`` reads files in the order of their names, so that equal states of a day have equal statements.

        Raises:
            SchemaMismatchError: as ``register``.
            UnknownVersionError: the table has no such version, or none that can be read any more.
        """
        delta = self.open(table) if version is None else self._opened_at(table, version)
        query = self._scan(delta, table, day, partition, by_name)
        if delta is None or day is None:
            return query, delta.version() if delta else None
        return query, commits.last_version_of(self._path(table), delta.version(), day)

    def days_changed(self, table: str, version: int) -> list[date]:
        """Days of which the commit of a version added or removed rows, oldest first. Raises ``UnknownVersionError``."""
        if not commits.commit_path(self._path(table), version).is_file():
            raise UnknownVersionError(f"{table} has no version {version} that can be read")
        return commits.changed_days(self._path(table), version)

    def changed_since(self, table: str, since: datetime) -> dict[date, tuple[int, datetime]]:
        """By day the newest version that changed it, and its time, of those committed since a time."""
        last = self.version(table)
        return commits.changes_since(self._path(table), last, since) if last is not None else {}

    def _opened_at(self, table: str, version: int) -> DeltaTable:
        """A table as of a version. Raises ``UnknownVersionError``."""
        last = self.version(table)
        if last is None or not 0 <= version <= last:
            raise UnknownVersionError(f"{table} has no version {version}")
        path = self._path(table)
        key = (path, version, commits.commit_identity(path, version), commits.commit_identity(path, last))
        if key in _earlier:
            return _earlier[key]
        try:
            delta = self.open(table) if version == last else None
            if delta is None or delta.version() != version:
                delta = DeltaTable(path, version=version)
        except (DeltaError, FileNotFoundError) as error:
            raise UnknownVersionError(f"{table}: version {version} cannot be read any more") from error
        if len(_earlier) >= MOST_EARLIER_VERSIONS:
            _earlier.clear()
        _earlier[key] = delta
        return delta

    def _scan(
        self,
        delta: DeltaTable | None,
        table: str,
        day: date | None,
        partition: Mapping[str, str] | None,
        by_name: bool = False,
    ) -> str:
        schema = self.schema(table)
        files = self._files(delta, table, day, partition) if delta is not None else []
        if by_name:
            files.sort()
        drift = drift_of(delta, schema, self._path(table)) if delta is not None and files else None
        return scan(schema, files, drift)

    def files(self, table: str) -> list[Path]:
        """Data files of a table's last version, whether they are there or not."""
        delta = self.open(table)
        return self._files(delta, table) if delta is not None else []

    def transaction(self, table: str, key: str) -> int | None:
        """Fingerprint that was last committed under the key with ``replace(..., transactions=…)``."""
        delta = self.open(table)
        return delta.transaction_version(key) if delta else None

    def replace(
        self,
        table: str,
        day: date,
        rows: pa.Table | duckdb.DuckDBPyRelation,
        where: Mapping[str, str | sql.OneOf] | None = None,
        transactions: Mapping[str, int] | None = None,
        expected_rows: int | None = None,
    ) -> int:
        """Replace exactly one slice of a table: a day, or the part of the day that ``where`` names.

        Args:
            table: table name.
            day: partition to replace.
            rows: all rows of the slice, with exactly the columns and types of the table's contract, in any order.
            where: further conditions that bound the slice.
            transactions: keys and fingerprints committed with the rows; see ``Lake.transaction``.
            expected_rows: how many rows there must be; with another number nothing is committed.

        Returns:
            The Delta version written.

        Raises:
            RowCountError: there are more or fewer rows than expected.
            SchemaMismatchError: columns or types differ from the contract, or the contract has changed in a way that
                the table cannot follow; see ``schema_evolution``.
        """
        schema = self.schema(table)
        path = self._path(table)
        predicate = sql.conjunction({"day": day, **(where or {})})
        properties = None
        if transactions:
            properties = CommitProperties(app_transactions=[Transaction(*item) for item in transactions.items()])
        # One writer per table at a time, across processes.
        with sole_holder(self.root.parent, table.replace("/", ".")):
            for attempt in range(COMMIT_ATTEMPTS):
                delta = self._opened_now(table) or self._create(table, schema)
                try:
                    if not self._add_partition(delta, table, day, rows, where, properties, expected_rows):
                        write_deltalake(
                            delta,
                            self._following(delta, table, schema, exact_rows(rows, schema, expected_rows)),
                            mode="overwrite",
                            predicate=predicate,
                            commit_properties=properties,
                            writer_properties=writer_properties(schema),
                        )
                    break
                except CommitFailedError:
                    if attempt == COMMIT_ATTEMPTS - 1:
                        raise
                    time.sleep(0.05 * 2**attempt)
            version = _followed(path, delta)
            commits.sync_commit(path, version)
        return version

    def append(self, table: str, day: date, rows: pa.Table | duckdb.DuckDBPyRelation) -> int:
        """Add rows to a day of a table, beside those that it holds; who comes second waits.

        Args:
            table: table name.
            day: partition of the rows.
            rows: rows with exactly the columns and types of the table's contract, in any order.

        Returns:
            The Delta version written.

        Raises:
            SchemaMismatchError: as ``replace``.
        """
        schema, path = self.schema(table), self._path(table)
        with sole_holder(self.root.parent, table.replace("/", ".")):
            delta = self._opened_now(table) or self._create(table, schema)
            if not self._add_partition(delta, table, day, rows, None, None, None, beside=True):
                following = self._following(delta, table, schema, exact_rows(rows, schema, None))
                write_deltalake(delta, following, mode="append", writer_properties=writer_properties(schema))
            version = _followed(path, delta)
            commits.sync_commit(path, version)
        return version

    def _add_partition(
        self,
        delta: DeltaTable,
        table: str,
        day: date,
        rows: pa.Table | duckdb.DuckDBPyRelation,
        where: Mapping[str, str | sql.OneOf] | None,
        properties: CommitProperties | None,
        expected_rows: int | None,
        beside: bool = False,
    ) -> bool:
        """Write rows as a partition's first, or ``beside`` others, where the table is as its contract says."""
        schema, path = self.schema(table), self._path(table)
        partition = new_partition.partition_of(schema, day, where)
        if not new_partition.takes(rows, schema) or partition is None or not drift_of(delta, schema, path).is_none:
            return False
        others = {name: value for name, value in partition.items() if name != "day"}
        if not beside and self._files(delta, table, day, others):
            return False
        return new_partition.write_new_partition(delta, path, schema, partition, rows, properties, expected_rows)

    def _following(
        self, delta: DeltaTable, table: str, schema: TableSchema, rows: pa.RecordBatchReader
    ) -> pa.RecordBatchReader:
        """The rows as the table takes them, after it has followed the changes of its contract."""
        path = self._path(table)
        drift = drift_of(delta, schema, path)
        for version in evolve(delta, schema, drift, path):
            commits.sync_commit(path, version)
        return table_rows(rows, drift)

    def _opened_now(self, table: str) -> DeltaTable | None:
        """A handle of its own for a writer, which changes the handle it writes through."""
        return DeltaTable(self._path(table)) if self.open(table) else None

    def _files(
        self, delta: DeltaTable, table: str, day: date | None = None, partition: Mapping[str, str] | None = None
    ) -> list[Path]:
        wanted: dict[str, str | date | sql.OneOf] = {"day": day} if day else {}
        wanted |= partition or {}
        # delta-rs percent-encodes the folder of the table in its URIs but not the file below it.
        depth = len(self.schema(table).partition_by) + 1
        uris = delta.file_uris(file_pruning_predicate=sql.conjunction(wanted) if wanted else None)
        return [self._path(table).joinpath(*uri.split("/")[-depth:]) for uri in uris]

    def _path(self, table: str) -> Path:
        return self.root / table

    def _create(self, table: str, schema: TableSchema) -> DeltaTable:
        path = self._path(table)
        path.mkdir(parents=True, exist_ok=True)
        delta = DeltaTable.create(
            str(path),
            schema=schema.arrow,
            partition_by=schema.partition_by,
            name=table,
            configuration=schema.delta_properties,
        )
        commits.sync_commit(path, 0)
        for folder in (path, path.parent, self.root):
            fsync(folder)
        return delta


def _followed(path: Path, delta: DeltaTable) -> int:
    """The last version after a commit through this handle or beside it, which readers then open without a replay."""
    delta.update_incremental()
    version = int(delta.version())
    _handles[path] = _Handle(delta, commits.commit_identity(path, version))
    return version


def create_view(con: duckdb.DuckDBPyConnection, view: str, query: str) -> None:
    """Create or replace a view; its schema is created where the name is dotted."""
    if "." in view:
        con.execute(f"CREATE SCHEMA IF NOT EXISTS {sql.identifier(view.partition('.')[0])}")
    con.execute(f"CREATE OR REPLACE VIEW {sql.qualified(view)} AS {query}")


def one_row(con: duckdb.DuckDBPyConnection, query: str, values: Sequence[object] | None = None) -> tuple[Any, ...]:
    """The only row of a query. A result that is fetched but in part would keep its connection busy (DuckDB 2)."""
    (row,) = con.execute(query, values).fetchall()
    return tuple(row)
