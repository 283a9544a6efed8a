"""Table schemas, derived from data contracts (ODCS v3.1).

Platform tables have their contracts beside this module, datasets in the project's
``governance/standard/data_contracts``. Does not belong here: judging a contract (``model_management``) or data
against it (``admission``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

PLATFORM_CONTRACTS = Path(__file__).parent / "contracts"

ARROW_TYPES: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMPTZ": pa.timestamp("us", tz="UTC"),
    "VARCHAR[]": pa.list_(pa.string()),
    # Attributes are stored as canonical JSON text with sorted keys, so that equal sets are equal strings.
    "MAP(VARCHAR, VARCHAR)": pa.string(),
}


class UnknownTableError(LookupError):
    """A table that no data contract describes."""


@dataclass(frozen=True)
class Column:
    """One column of a table: DuckDB type as stored, whether it may be null, its classification level.

    Attributes:
        mask: how it is shown to whom its grade is too high, where the contract says so (custom property ``mask``).
        made_of: columns that it is derived from, as ``<table>.<column>`` (ODCS ``transformSourceObjects``).
        is_graded: whether the contract says the classification level; ``grade`` is the highest where it does not.
    """

    name: str
    sql_type: str
    required: bool
    key: bool
    partition: bool
    grade: int
    description: str
    mask: str | None = None
    made_of: tuple[str, ...] = ()
    is_graded: bool = True

    @property
    def arrow(self) -> pa.Field:
        """The Arrow field; required columns are not nullable."""
        return pa.field(self.name, ARROW_TYPES[self.sql_type], nullable=not self.required)


@dataclass(frozen=True)
class TableSchema:
    """Columns of a table in the order of its contract; of an append-only one no row ever changes or goes.

    Attributes:
        log_retention_days: how long Delta keeps the commits of the table, which prove what was ever in it, where the
            contract says so (custom property ``logRetentionDays``); else as Delta does, 30 days.
    """

    name: str
    columns: tuple[Column, ...]
    append_only: bool = False
    log_retention_days: int | None = None

    @property
    def arrow(self) -> pa.Schema:
        """The Arrow schema as it is written to Delta."""
        return pa.schema([column.arrow for column in self.columns])

    @property
    def names(self) -> list[str]:
        """Column names in contract order."""
        return [column.name for column in self.columns]

    @property
    def key(self) -> list[str]:
        """Primary key columns without the partition columns."""
        return [column.name for column in self.columns if column.key and not column.partition]

    @property
    def partition_by(self) -> list[str]:
        """Partition columns; ``day`` where the contract names none."""
        return [column.name for column in self.columns if column.partition] or ["day"]

    @property
    def delta_properties(self) -> dict[str, str | None] | None:
        """Delta properties that a new table gets, where it gets any."""
        wanted: dict[str, str | None] = {"delta.appendOnly": "true"} if self.append_only else {}
        if self.log_retention_days is not None:
            wanted["delta.logRetentionDuration"] = f"interval {self.log_retention_days} days"
        return wanted or None


def table_schema(table: str, dataset_contracts: Path) -> TableSchema:
    """Schema of a table of the lake.

    Args:
        table: ``<room>/<table>`` or ``<system>/<dataset>``; ``…_quarantine`` tables share one contract.
        dataset_contracts: folder with the contracts of the standard datasets.

    Raises:
        UnknownTableError: no contract describes the table.
    """
    platform = platform_tables()
    if table in platform:
        return platform[table]
    if table.endswith("_quarantine"):
        return platform["quarantine"]
    path = dataset_contracts / f"{table.rpartition('/')[2]}.odcs.yaml"
    if not path.is_file():
        raise UnknownTableError(f"no data contract describes table {table!r}: expected {path}")
    return _read_contract(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def platform_tables() -> dict[str, TableSchema]:
    """Schemas of the tables that omgov itself fills, by table name."""
    schemas = (_read_contract(path, 0) for path in sorted(PLATFORM_CONTRACTS.glob("*.odcs.yaml")))
    return {schema.name: schema for schema in schemas}


@lru_cache(maxsize=256)
def _read_contract(path: Path, _modified_ns: int) -> TableSchema:
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    table = document["schema"][0]
    said = {entry["property"]: entry["value"] for entry in table.get("customProperties", ())}
    columns = tuple(_column(entry) for entry in table["properties"])
    kept = said.get("logRetentionDays")
    return TableSchema(
        name=table["name"],
        columns=columns,
        append_only=said.get("appendOnly") is True,
        log_retention_days=int(kept) if kept is not None else None,
    )


def _column(entry: dict[str, Any]) -> Column:
    sql_type = entry["physicalType"]
    said = {custom["property"]: custom["value"] for custom in entry.get("customProperties", ())}
    return Column(
        name=entry["name"],
        sql_type="VARCHAR" if sql_type.startswith("MAP(") else sql_type,
        required=entry.get("required", False),
        key=entry.get("primaryKey", False),
        partition=entry.get("partitioned", False),
        # An ungraded column is treated as the highest level: nobody sees by omission.
        grade=int(entry.get("classification", 4)),
        description=entry.get("description", ""),
        mask=str(said["mask"]) if "mask" in said else None,
        made_of=tuple(map(str, entry.get("transformSourceObjects", ()))),
        is_graded="classification" in entry,
    )
