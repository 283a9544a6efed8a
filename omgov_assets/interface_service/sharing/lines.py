"""Answers of the Delta Sharing protocol as lines of JSON, in the format that a client takes.

https://github.com/delta-io/delta-sharing/blob/main/PROTOCOL.md: *parquet* is the protocol's own, *delta* wraps actions
of a Delta log, which clients hand to a Delta reader. Statistics hold the number of rows and nothing else. Does not
belong here: what is answered (``tables``), listings (``listing``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

MEDIA_TYPE = "application/x-ndjson; charset=utf-8"
CAPABILITIES = "delta-sharing-capabilities"
TABLE_VERSION = "Delta-Table-Version"

ResponseFormat = Literal["parquet", "delta"]
Act = Literal["file", "cdf"]

_SPARK_TYPES: dict[str, object] = {
    "VARCHAR": "string",
    "BIGINT": "long",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMPTZ": "timestamp",
    "VARCHAR[]": {"type": "array", "elementType": "string", "containsNull": True},
    # Stored as canonical JSON text.
    "MAP(VARCHAR, VARCHAR)": "string",
}


@dataclass(frozen=True)
class TableLine:
    """What a reader is told of a table.

    Attributes:
        id: identifier of the shared table.
        name: its name.
        columns: name and DuckDB type of each column.
        partitioned_by: columns whose values files are told apart by.
        version: version that is answered of, where one was asked for.
    """

    id: str
    name: str
    columns: tuple[tuple[str, str], ...]
    partitioned_by: tuple[str, ...]
    version: int | None = None


@dataclass(frozen=True)
class FileLine:
    """A file that a reader is given.

    Attributes:
        act: a file of the table, or one of its changes (cdf), which has a column ``_change_type``.
        url: where it can be read until it expires.
        id: the same for the same content.
        partition_values: values of the columns that files are told apart by.
        bytes: size of the file.
        rows: number of its rows.
        expires_at: until when the address is good.
        version: version of the table, where versions were asked for.
        committed_at: when that was committed.
    """

    act: Act
    url: str
    id: str
    partition_values: Mapping[str, str]
    bytes: int
    rows: int
    expires_at: datetime
    version: int | None = None
    committed_at: datetime | None = None


def response_format(capabilities: str | None) -> ResponseFormat:
    """The format to answer in: parquet, but for a client that takes nothing but delta.

    Args:
        capabilities: header ``delta-sharing-capabilities``, such as ``responseformat=delta,parquet;readerfeatures=…``.
    """
    for part in (capabilities or "").split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == "responseformat":
            formats = {one.strip().lower() for one in value.split(",")}
            return "delta" if "delta" in formats and "parquet" not in formats else "parquet"
    return "parquet"


def schema_string(columns: Iterable[tuple[str, str]]) -> str:
    """Columns as Spark writes a schema; all may be null, as masked ones are."""
    fields = [
        {"name": name, "type": _SPARK_TYPES[sql_type], "nullable": True, "metadata": {}} for name, sql_type in columns
    ]
    return _json({"type": "struct", "fields": fields})


def answer_lines(answer_format: ResponseFormat, table: TableLine, files: Sequence[FileLine] = ()) -> bytes:
    """The lines of an answer: protocol, table, files."""
    write = _delta_lines if answer_format == "delta" else _parquet_lines
    return "".join(f"{_json(line)}\n" for line in write(table, files)).encode()


def _parquet_lines(table: TableLine, files: Sequence[FileLine]) -> Iterable[dict[str, Any]]:
    yield {"protocol": {"minReaderVersion": 1}}
    metadata = {
        "id": table.id,
        "name": table.name,
        "format": {"provider": "parquet"},
        "schemaString": schema_string(table.columns),
        "partitionColumns": list(table.partitioned_by),
        "configuration": {"enableChangeDataFeed": "true"},
    }
    yield {"metaData": metadata | _version(table.version)}
    for file in files:
        entry = {
            "url": file.url,
            "id": file.id,
            "partitionValues": dict(file.partition_values),
            "size": file.bytes,
            "stats": _stats(file),
            "expirationTimestamp": _milliseconds(file.expires_at),
        }
        yield {file.act: entry | _version(file.version, file.committed_at)}


def _delta_lines(table: TableLine, files: Sequence[FileLine]) -> Iterable[dict[str, Any]]:
    # Writer version 4 is that of a table whose changes can be read.
    yield {"protocol": {"deltaProtocol": {"minReaderVersion": 1, "minWriterVersion": 4}}}
    metadata = {
        "id": table.id,
        "name": table.name,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema_string(table.columns),
        "partitionColumns": list(table.partitioned_by),
        "configuration": {"delta.enableChangeDataFeed": "true"},
        "createdTime": 0,
    }
    yield {"metaData": {"deltaMetadata": metadata} | _version(table.version)}
    for file in files:
        entry = {
            "id": file.id,
            "expirationTimestamp": _milliseconds(file.expires_at),
            "deltaSingleAction": _action(file),
        }
        yield {"file": entry | _version(file.version, file.committed_at)}


def _action(file: FileLine) -> dict[str, Any]:
    about = {"path": file.url, "partitionValues": dict(file.partition_values), "size": file.bytes}
    if file.act == "cdf":
        return {"cdc": about | {"dataChange": False}}
    return {"add": about | {"modificationTime": 0, "dataChange": True, "stats": _stats(file)}}


def _stats(file: FileLine) -> str:
    return _json({"numRecords": file.rows})


def _version(version: int | None, committed_at: datetime | None = None) -> dict[str, int]:
    said = {} if version is None else {"version": version}
    return said if committed_at is None else said | {"timestamp": _milliseconds(committed_at)}


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
