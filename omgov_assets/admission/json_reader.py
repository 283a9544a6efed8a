"""Reading NDJSON and JSON arrays: every line, or every element of the array, is one record.

Values stay JSON; what is no object, has keys outside the contract or one key twice, or is nested too deep, is kept as
delivered. Does not belong here: what a value must be (``contract_check``).
"""

from __future__ import annotations

import glob
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from omgov_assets.admission.delivered_table import (
    Delivery,
    MalformedRecord,
    count_stored,
    require_columns,
    shown_names,
    streamed,
    unreadable,
)
from omgov_assets.admission.delivered_text import find_wrong_encoding, text_blocks
from omgov_assets.admission.delivery_limits import require_row_bytes, require_rows
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.business_systems import Limits, SourceDataset, Transport
from omgov_assets.model_management.contracts import ContractColumn

NOT_AN_OBJECT = "not one complete JSON object"

_LINES = pa.schema([("_record_no", pa.int64()), ("line", pa.string())])
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def read_ndjson(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Fill ``delivery`` from lines of JSON.

    Raises:
        RefusedBatchError: as ``read_delivery``.
    """
    try:
        with streamed(con, "lines", _LINES, _lines(path, dataset.transport)):
            _store(con, "FROM lines", path, dataset)
    except (pa.ArrowInvalid, duckdb.Error) as error:
        raise unreadable(path, "readable NDJSON", error, dataset.source_contract.columns) from error
    return _checked(con, path, dataset)


def read_json_array(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Fill ``delivery`` from one JSON array.

    Raises:
        RefusedBatchError: as ``read_delivery``.
    """
    _require_closed_array(path)
    limits = dataset.transport.limits
    file = literal(glob.escape(str(path)))
    elements = (
        "FROM (SELECT row_number() OVER () AS _record_no, json::VARCHAR AS line "  # noqa: S608 - quoted
        f"FROM read_json_objects({file}, format = 'array', maximum_object_size = {max(limits.max_row_bytes, 1 << 20)}) "
        f"LIMIT {limits.max_rows + 1})"
    )
    try:
        _store(con, elements, path, dataset)
    except (duckdb.Error, UnicodeDecodeError) as error:
        # DuckDB quotes what it could not read, and Python cannot always read the quotation.
        if "maximum_object_size" in str(error):
            require_row_bytes(path, limits.max_row_bytes + 1, limits)
        raise find_wrong_encoding(path, dataset.transport) or unreadable(
            path, "one complete JSON array", error, dataset.source_contract.columns
        ) from error
    return _checked(con, path, dataset)


def json_path(key: str) -> str:
    """DuckDB's path to a key of a JSON object, whatever characters the key holds."""
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _lines(path: Path, transport: Transport) -> Iterator[pa.RecordBatch]:
    for block in text_blocks(path, transport, header=False):
        if block.first == 1 and block.text.startswith(b"\xef\xbb\xbf"):
            ends = block.ends - 3
            block = type(block)(1, block.text[3:], ends)
        numbers = pa.array(np.arange(block.first, block.first + len(block.ends)), pa.int64())
        yield pa.RecordBatch.from_arrays([numbers, block.records], schema=_LINES)


def _store(con: duckdb.DuckDBPyConnection, lines: str, path: Path, dataset: SourceDataset) -> None:
    """Split JSON texts (columns ``_record_no``, ``line``) into one JSON column per contract column.

    The text is kept, in ``_text``, where not all of it is in the columns or where it must be looked at: other keys than
    the contract's, one key twice, more brackets than may be nested, too long.
    """
    columns, limits = dataset.source_contract.columns, dataset.transport.limits
    paths = ", ".join(literal(json_path(column.delivered_as)) for column in columns)
    values = ", ".join(
        f"nullif(fields[{position}], 'null') AS {identifier(column.name)}"
        for position, column in enumerate(columns, start=1)
    )
    brackets = "length(line) - length(replace(replace(line, '[', ''), '{', ''))"
    con.execute(
        f"""
        CREATE TEMP TABLE delivery AS
        SELECT _record_no, {values}, to_json(keys)::VARCHAR AS _keys,
               if(_is_suspect OR keys IS NULL OR len(keys) <> list_count(fields), line, NULL) AS _text, _is_suspect
        FROM (
            SELECT _record_no, line, json_extract(object, [{paths}]) AS fields, json_keys(object) AS keys, _is_suspect
            FROM (
                SELECT *, if(starts_with(ltrim(line), '{{') AND json_valid(line), line, NULL) AS object,
                       strlen(line) > {limits.max_row_bytes} OR {brackets} > {limits.max_nesting} AS _is_suspect
                {lines}
            )
        )
        """  # noqa: S608 - identifiers and literals are quoted
    )
    require_rows(path, count_stored(con), limits)
    (longest,) = one_row(con, "SELECT coalesce(max(strlen(_text)), 0) FROM delivery WHERE _is_suspect")
    require_row_bytes(path, longest, limits)


def _checked(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Take the malformed records out of ``delivery``."""
    columns = dataset.source_contract.columns
    rows_in = count_stored(con)
    if rows_in == 0:
        return Delivery(0, "json", ())
    malformed: list[MalformedRecord] = [
        (number, "broken_json", NOT_AN_OBJECT, text)
        for number, text in con.execute("SELECT _record_no, _text FROM delivery WHERE _keys IS NULL").fetchall()
    ]
    if len(malformed) == rows_in:
        raise RefusedBatchError("unreadable", f"{path.name} holds no JSON object in any record; {ASK_AGAIN}", rows_in)
    odd = _odd_key_sets(con, path, columns, rows_in - len(malformed))
    odd_records = con.execute(
        "SELECT _record_no, _keys, _text FROM delivery WHERE _keys IN (SELECT unnest(?))", [list(odd)]
    ).fetchall()
    malformed += [(number, *odd[keys], text) for number, keys, text in odd_records]
    known = {entry[0] for entry in malformed}
    malformed += [entry for entry in _nested_too_deep(con, dataset.transport.limits) if entry[0] not in known]
    con.execute(
        "DELETE FROM delivery WHERE _record_no IN (SELECT unnest(?::BIGINT[]))", [[entry[0] for entry in malformed]]
    )
    for column in ("_keys", "_text", "_is_suspect"):
        con.execute(f"ALTER TABLE delivery DROP COLUMN {column}")
    lines = [(number, code, sentence, text.strip("\r\n")) for number, code, sentence, text in malformed]
    return Delivery(rows_in, "json", tuple(sorted(lines)))


def _odd_key_sets(
    con: duckdb.DuckDBPyConnection, path: Path, columns: tuple[ContractColumn, ...], records: int
) -> dict[str, tuple[str, str]]:
    """Refuse a batch whose records all lack or all add a key; code and sentence of key sets of single odd records."""
    shapes = con.execute(
        "SELECT _keys, count(*) FROM delivery WHERE _keys IS NOT NULL GROUP BY 1 ORDER BY 1"
    ).fetchall()
    expected = {column.delivered_as for column in columns}
    seen: dict[str, int] = {}
    odd: dict[str, tuple[str, str]] = {}
    for text, count in shapes:
        keys = json.loads(text)
        extra = sorted(set(keys) - expected)
        if extra:
            odd[text] = ("unexpected_key", f"keys outside the contract: {', '.join(shown_names(extra, columns))}")
        elif len(set(keys)) < len(keys):
            twice = sorted({key for key in keys if keys.count(key) > 1})
            odd[text] = ("duplicate_key", f"keys stand twice: {', '.join(shown_names(twice, columns))}")
        for key in set(keys):
            seen[key] = seen.get(key, 0) + count
    everywhere = sorted(key for key, count in seen.items() if count == records)
    require_columns(path, [*(key for key in everywhere if key not in expected), *(seen.keys() & expected)], columns)
    return odd


def _nested_too_deep(con: duckdb.DuckDBPyConnection, limits: Limits) -> list[MalformedRecord]:
    suspects = con.execute(
        "SELECT _record_no, _text FROM delivery WHERE _is_suspect AND _keys IS NOT NULL ORDER BY _record_no"
    ).fetchall()
    sentence = f"objects and lists within each other, more than the {limits.max_nesting} allowed"
    return [
        (number, "nested_too_deep", sentence, text) for number, text in suspects if _depth(text) > limits.max_nesting
    ]


def _depth(text: str) -> int:
    """How many objects and lists of a JSON text lie within each other; brackets within texts do not count."""
    depth = deepest = 0
    for token in _TEXT_OR_BRACKET.finditer(text):
        match token.group()[0]:
            case "[" | "{":
                depth += 1
                deepest = max(deepest, depth)
            case "]" | "}":
                depth -= 1
    return deepest


def _require_closed_array(path: Path) -> None:
    """DuckDB takes an array that ends after a comma for a complete one."""
    with path.open("rb") as file:
        file.seek(-min(4096, path.stat().st_size), io.SEEK_END)
        ending = file.read().rstrip()
    if ending and not ending.endswith(b"]"):
        raise RefusedBatchError(
            "truncated", f"{path.name} is not one complete JSON array: it does not end with ']'; {ASK_AGAIN}"
        )
