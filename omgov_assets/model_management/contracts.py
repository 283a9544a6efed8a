"""Data contracts (ODCS v3.1): the columns that a business system delivers and that a standard dataset has.

Does not belong here: the standard's JSON schema (``odcs``), what a change of a contract means (``contract_changes``),
reading a delivery against its contract (``admission``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import content_hash, parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.odcs import UNKNOWN_KEY, check_odcs

# Classification levels, from open to most confidential.
Grade = Literal["1", "2", "3", "4"]
UNGRADED = 4
SqlType = Literal["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "MAP(VARCHAR, VARCHAR)"]

# Semantic versioning; a contract that is published is no pre-release.
VERSION_PATTERN = r"^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$"

_SHARED_KEYS = frozenset({
    "id", "name", "description", "tags", "authoritativeDefinitions", "customProperties",
})  # fmt: skip
_DOCUMENT_KEYS = _SHARED_KEYS | {
    "apiVersion", "kind", "version", "status", "tenant", "domain", "dataProduct", "servers", "schema", "support",
    "price", "team", "roles", "slaDefaultElement", "slaProperties", "contractCreatedTs",
}  # fmt: skip
_ELEMENT_KEYS = _SHARED_KEYS | {
    "businessName", "logicalType", "physicalType", "physicalName", "quality", "relationships", "properties",
}  # fmt: skip
_TABLE_KEYS = _ELEMENT_KEYS | {"dataGranularityDescription"}
_COLUMN_KEYS = _ELEMENT_KEYS | {
    "logicalTypeOptions", "primaryKey", "primaryKeyPosition", "required", "unique", "partitioned",
    "partitionKeyPosition", "classification", "encryptedName", "transformSourceObjects",
    "transformLogic", "transformDescription", "examples",
    "criticalDataElement", "items",
}  # fmt: skip
_ACTED_ON_PROPERTIES = frozenset({"timestampFormat", "origin", "unit"})


class CustomProperty(BaseModel):
    """A name and value outside ODCS's vocabulary."""

    property: str
    value: Any


class ContractColumn(BaseModel):
    """One property of an ODCS schema object, as far as omgov acts on it."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str
    physical_name: str | None = Field(default=None, alias="physicalName")
    sql_type: SqlType = Field(alias="physicalType")
    required: bool = False
    key: bool = Field(default=False, alias="primaryKey")
    unique: bool = False
    partition: bool = Field(default=False, alias="partitioned")
    classification: Grade | None = None
    description: str = ""
    custom_properties: tuple[CustomProperty, ...] = Field(default=(), alias="customProperties")

    @property
    def delivered_as(self) -> str:
        """Header or key of the column in the delivery."""
        return self.physical_name or self.name

    @property
    def grade(self) -> int:
        """Classification level; what nobody graded is as confidential as can be."""
        return int(self.classification or UNGRADED)

    @property
    def timestamp_format(self) -> str | None:
        """``strptime`` format of a text time, where the contract declares one."""
        return next((p.value for p in self.custom_properties if p.property == "timestampFormat"), None)

    @property
    def unit(self) -> str | None:
        """UCUM unit of the column's values, where the contract declares one."""
        return next((str(p.value) for p in self.custom_properties if p.property == "unit"), None)

    @property
    def filled_by_platform(self) -> bool:
        """Whether omgov fills the column in, so that no conform model produces it."""
        return any(p.property == "origin" and p.value == "platform" for p in self.custom_properties)


class DataContract(BaseModel):
    """A data contract of one dataset: its columns in order, and hashes of its text and of what omgov does not act on.

    Attributes:
        remainder_hash: hash of all that the document says beside its version and its columns.
        column_remainder_hashes: hash by column of all that the document says of it beside what is read here.
    """

    model_config = ConfigDict(frozen=True)

    dataset: str
    version: str
    columns: tuple[ContractColumn, ...]
    content_hash: str
    remainder_hash: str
    column_remainder_hashes: dict[str, str]
    path: Path

    @property
    def conform_columns(self) -> tuple[ContractColumn, ...]:
        """Columns that a conform model must produce."""
        return tuple(column for column in self.columns if not column.filled_by_platform)


class _SchemaObject(BaseModel):
    name: str
    properties: tuple[ContractColumn, ...] = Field(min_length=1)


class _Document(BaseModel):
    api_version: Literal["v3.0.2", "v3.1.0"] = Field(alias="apiVersion")
    version: str = Field(pattern=VERSION_PATTERN)
    schema_: tuple[_SchemaObject, ...] = Field(alias="schema", min_length=1, max_length=1)


def load_contract(path: Path) -> DataContract:
    """Read one ``*.odcs.yaml``.

    Raises:
        GovernanceError: missing or malformed file, unknown key or type, a document that is no ODCS, a version that is
            not semantic, a column named twice, another dataset than the file's name says.
    """
    text = read_yaml(path)
    _refuse_unknown_keys(text, path)
    check_odcs(text, path)
    document = parse(_Document, text, path)
    table = document.schema_[0]
    expected = path.name.removesuffix(".odcs.yaml")
    if table.name != expected:
        raise GovernanceError(path, "schema[0].name", f"describes {table.name!r}", f"name it {expected!r}, as the file")
    for key, names in (
        ("name", [column.name for column in table.properties]),
        ("physicalName", [column.delivered_as for column in table.properties]),
    ):
        for index, name in enumerate(names):
            if name in names[:index]:
                where = f"schema[0].properties[{index}].{key}"
                raise GovernanceError(path, where, f"column {name!r} stands twice", "keep one of the two")
    return DataContract(
        dataset=table.name,
        version=document.version,
        columns=table.properties,
        content_hash=content_hash(path.read_text(encoding="utf-8")),
        remainder_hash=_remainder_hash(text),
        column_remainder_hashes={column["name"]: _column_remainder_hash(column) for column in _columns(text)},
        path=path,
    )


def _refuse_unknown_keys(document: Any, path: Path) -> None:
    """Most keys of ODCS are not acted on, so that a misspelt one would go unseen: `requierd: true` requires nothing."""
    levels: list[tuple[str, Any, frozenset[str]]] = [("", document, _DOCUMENT_KEYS)]
    for position, table in enumerate(_entries(document, "schema")):
        levels.append((f"schema[{position}].", table, _TABLE_KEYS))
        for index, column in enumerate(_entries(table, "properties")):
            levels.append((f"schema[{position}].properties[{index}].", column, _COLUMN_KEYS))
    for where, level, known in levels:
        for key in level if isinstance(level, dict) else ():
            if key not in known:
                raise GovernanceError(path, f"{where}{key}", *UNKNOWN_KEY)


def _columns(document: dict[str, Any]) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = document["schema"][0]["properties"]
    return columns


def _remainder_hash(document: dict[str, Any]) -> str:
    table = {key: value for key, value in document["schema"][0].items() if key != "properties"}
    rest = {key: value for key, value in document.items() if key not in {"version", "schema"}}
    return _hash_of({**rest, "schema": table})


def _column_remainder_hash(column: dict[str, Any]) -> str:
    acted_on = {field.alias or name for name, field in ContractColumn.model_fields.items()}
    rest = {key: value for key, value in column.items() if key not in acted_on}
    own = [entry for entry in column.get("customProperties", ()) if entry["property"] not in _ACTED_ON_PROPERTIES]
    return _hash_of({**rest, "customProperties": own})


def _hash_of(value: Any) -> str:
    return content_hash(json.dumps(value, sort_keys=True, default=str))


def _entries(level: Any, key: str) -> list[Any]:
    entries = level.get(key) if isinstance(level, dict) else None
    return entries if isinstance(entries, list) else []


def load_contracts(folder: Path) -> dict[str, DataContract]:
    """All contracts of a folder by dataset. Raises ``GovernanceError``."""
    contracts: dict[str, DataContract] = {}
    for path in sorted(folder.glob("*.odcs.yaml")):
        contract = load_contract(path)
        contracts[contract.dataset] = contract
    return contracts
