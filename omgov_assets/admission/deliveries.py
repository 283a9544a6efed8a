"""Reading the files that business systems deliver, as delivered: nothing is cast, nothing is dropped.

Each reader fills the temporary table ``delivery`` with ``_record_no`` (from 1, in file order) and one column per
contract column. Text formats give VARCHAR, JSON formats JSON, Parquet its own types. Does not belong here: judging
values.
"""

from __future__ import annotations

import glob
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as sqlite
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from omgov_assets.admission.delivered_text import (
    find_wrong_encoding,
    prove_line_count,
    prove_record_count,
    require_whole_text,
    stream_encoding,
    text_stream,
)
from omgov_assets.admission.refusal import ASK_AGAIN, RefusedBatchError
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.business_systems import SourceDataset
from omgov_assets.model_management.contracts import ContractColumn

BLOCK_BYTES = 8 << 20

NOT_AN_OBJECT = "not one complete JSON object"

ValueKind = Literal["text", "json", "typed"]


@dataclass(frozen=True)
class Delivery:
    """What was read from one file.

    Attributes:
        rows_in: records in the file, well-formed or not.
        kind: how the columns of table ``delivery`` are typed.
        malformed: records that have no columns at all (ragged line, broken JSON): number, reason code, sentence, text.
    """

    rows_in: int
    kind: ValueKind
    malformed: tuple[tuple[int, str, str, str], ...]


def read_delivery(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    """Read one file into the temporary table ``delivery``.

    Raises:
        RefusedBatchError: the file is empty, cut off, of another encoding or format, or its columns differ from the
            contract.
    """
    if path.stat().st_size == 0:
        raise RefusedBatchError("empty_file", f"{path.name} is empty (0 bytes): records were expected; {ASK_AGAIN}")
    if dataset.transport.format in {"csv", "ndjson", "json"}:
        final_newline = dataset.transport.final_newline == "required"
        require_whole_text(path, dataset.transport.encoding, final_newline=final_newline)
    con.execute("DROP TABLE IF EXISTS delivery")
    match dataset.transport.format:
        case "csv":
            delivery = _read_csv(con, path, dataset)
        case "ndjson":
            delivery = _read_ndjson(con, path, dataset)
        case "json":
            delivery = _read_json_array(con, path, dataset)
        case "parquet":
            delivery = _read_parquet(con, path, dataset)
        case "sqlite":
            delivery = _read_sqlite(con, path, dataset)
    if delivery.rows_in == 0:
        raise RefusedBatchError("no_records", f"{path.name} holds no record: records were expected; {ASK_AGAIN}")
    return delivery


def _read_csv(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    columns = dataset.source_contract.columns
    delivered = [column.delivered_as for column in columns]
    malformed: list[tuple[int, str, str, str]] = []

    def keep_ragged(row: pacsv.InvalidRow) -> str:
        sentence = f"{row.actual_columns} fields where the header has {row.expected_columns}"
        malformed.append((row.number - 1, "ragged_record", sentence, row.text))
        return "skip"

    try:
        reader = pacsv.open_csv(
            text_stream(path, dataset.transport.encoding),
            read_options=pacsv.ReadOptions(
                encoding=stream_encoding(dataset.transport.encoding), use_threads=False, block_size=BLOCK_BYTES
            ),
            parse_options=pacsv.ParseOptions(
                delimiter=dataset.transport.delimiter,
                invalid_row_handler=keep_ragged,
                ignore_empty_lines=False,
                newlines_in_values=dataset.transport.line_ends_in_values == "allowed",
            ),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in delivered}, null_values=[""], strings_can_be_null=True
            ),
        )
        _require_columns(path, reader.schema.names, columns)
        batches = _numbered(reader, delivered, [column.name for column in columns], malformed)
        _store(con, batches, columns)
    except (UnicodeDecodeError, pa.ArrowInvalid, duckdb.Error) as error:
        raise _unreadable_text(path, dataset.transport.encoding, "a readable CSV file", error) from error
    rows_in = _count(con) + len(malformed)
    if dataset.transport.line_ends_in_values == "allowed":
        prove_record_count(path, dataset.transport.encoding, rows_in)
    else:
        prove_line_count(path, dataset.transport.encoding, rows_in)
    return Delivery(rows_in, "text", tuple(malformed))


def _read_ndjson(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    malformed: list[tuple[int, str, str, str]] = []

    def keep_broken(row: pacsv.InvalidRow) -> str:
        malformed.append((row.number, "broken_json", NOT_AN_OBJECT, row.text))
        return "skip"

    try:
        reader = pacsv.open_csv(
            text_stream(path, dataset.transport.encoding),
            read_options=pacsv.ReadOptions(
                encoding=stream_encoding(dataset.transport.encoding),
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=["line"],
            ),
            # One column: the delimiter is a control character that JSON text cannot hold unescaped.
            parse_options=pacsv.ParseOptions(
                delimiter="\x01", quote_char=False, ignore_empty_lines=False, invalid_row_handler=keep_broken
            ),
            convert_options=pacsv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False),
        )
        lines = pa.RecordBatchReader.from_batches(
            pa.schema([("_record_no", pa.int64()), ("line", pa.string())]),
            _numbered(reader, ["line"], ["line"], malformed),
        )
        con.register("lines", lines)
        try:
            return _store_json(con, "FROM lines", malformed, path, dataset)
        finally:
            con.unregister("lines")
    except (UnicodeDecodeError, pa.ArrowInvalid, duckdb.Error) as error:
        raise _unreadable_text(path, dataset.transport.encoding, "readable NDJSON", error) from error


def _read_json_array(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    _require_closed_array(path)
    files = literal(glob.escape(str(path)))
    query = f"SELECT row_number() OVER () AS _record_no, json::VARCHAR AS line FROM read_json_objects({files}, format = 'array')"  # noqa: S608, E501
    try:
        return _store_json(con, f"FROM ({query})", [], path, dataset)
    except duckdb.Error as error:
        raise _unreadable_text(path, dataset.transport.encoding, "one complete JSON array", error) from error


def _store_json(
    con: duckdb.DuckDBPyConnection,
    lines: str,
    malformed: list[tuple[int, str, str, str]],
    path: Path,
    dataset: SourceDataset,
) -> Delivery:
    """Split JSON texts (columns ``_record_no``, ``line``) into one JSON column per contract column; check the keys."""
    columns = dataset.source_contract.columns
    paths = ", ".join(literal(_json_path(column.delivered_as)) for column in columns)
    values = ", ".join(
        f"nullif(fields[{position}], 'null') AS {identifier(column.name)}"
        for position, column in enumerate(columns, start=1)
    )
    # The text is kept where there are other keys than the contract's, or one key twice: not all of it is in `fields`.
    con.execute(
        f"""
        CREATE TEMP TABLE delivery AS
        SELECT _record_no, {values}, to_json(keys)::VARCHAR AS _keys,
               if(keys IS NULL OR len(keys) <> list_count(fields), line, NULL) AS _text
        FROM (
            SELECT _record_no, line, json_extract(object, [{paths}]) AS fields, json_keys(object) AS keys
            FROM (SELECT *, if(starts_with(ltrim(line), '{{') AND json_valid(line), line, NULL) AS object {lines})
        )
        """  # noqa: S608 - identifiers and literals are quoted
    )
    rows_in = _count(con) + len(malformed)
    if rows_in == 0:
        return Delivery(0, "json", ())
    malformed += [
        (number, "broken_json", NOT_AN_OBJECT, text)
        for number, text in con.execute("SELECT _record_no, _text FROM delivery WHERE _keys IS NULL").fetchall()
    ]
    if malformed and len(malformed) == rows_in:
        raise RefusedBatchError("unreadable", f"{path.name} holds no JSON object in any record; {ASK_AGAIN}", rows_in)
    odd = _check_keys(con, path, columns, rows_in - len(malformed))
    odd_records = con.execute(
        "SELECT _record_no, _keys, _text FROM delivery WHERE _keys IN (SELECT unnest(?))", [list(odd)]
    ).fetchall()
    malformed += [(number, *odd[keys], text) for number, keys, text in odd_records]
    con.execute("DELETE FROM delivery WHERE _keys IS NULL OR _keys IN (SELECT unnest(?))", [list(odd)])
    con.execute("ALTER TABLE delivery DROP COLUMN _keys")
    con.execute("ALTER TABLE delivery DROP COLUMN _text")
    return Delivery(rows_in, "json", tuple(malformed))


def _check_keys(
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
            odd[text] = ("unexpected_key", f"keys outside the contract: {', '.join(extra)}")
        elif len(set(keys)) < len(keys):
            twice = sorted({key for key in keys if keys.count(key) > 1})
            odd[text] = ("duplicate_key", f"keys stand twice: {', '.join(twice)}")
        for key in set(keys):
            seen[key] = seen.get(key, 0) + count
    everywhere = sorted(key for key, count in seen.items() if count == records)
    _require_columns(path, [*(key for key in everywhere if key not in expected), *(seen.keys() & expected)], columns)
    return odd


def _read_parquet(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    columns = dataset.source_contract.columns
    scan = f"read_parquet({literal(glob.escape(str(path)))}, file_row_number = true)"
    try:
        described = con.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {scan}").fetchall()  # noqa: S608
        types = {name: sql_type for name, sql_type, *_ in described}
        _require_columns(path, list(types), columns)
        for column in columns:
            _require_type(path, column, types[column.delivered_as])
        selected = ", ".join(
            f"{identifier(column.delivered_as)}::{column.sql_type} AS {identifier(column.name)}" for column in columns
        )
        con.execute(
            f"CREATE TEMP TABLE delivery AS SELECT file_row_number + 1 AS _record_no, {selected} FROM {scan}"  # noqa: S608
        )
    except duckdb.Error as error:
        if "string encoding" in str(error):
            raise RefusedBatchError(
                "wrong_encoding", f"{path.name} holds text that is not UTF-8; {ASK_AGAIN}"
            ) from error
        raise _unreadable(path, "a complete Parquet file", error) from error
    return Delivery(_count(con), "typed", ())


def _read_sqlite(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    columns = dataset.source_contract.columns
    table = dataset.transport.table or dataset.name
    _require_whole_database(path)
    try:
        with (
            sqlite.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT name FROM pragma_table_info({literal(table)})")  # noqa: S608
            names = [row[0] for row in cursor.fetchall()]
            if not names:
                raise RefusedBatchError(
                    "missing_table", f"{path.name} has no table {table!r}, which defs.yaml names; {ASK_AGAIN}"
                )
            _require_columns(path, names, columns)
            # SQLite types values, not columns: read all as text, numbers in full precision, and cast by the contract.
            selected = ", ".join(
                f"CASE typeof({quoted}) WHEN 'real' THEN printf('%!.17g', {quoted}) ELSE CAST({quoted} AS TEXT) END"
                for quoted in (identifier(column.delivered_as) for column in columns)
            )
            # The driver types a column by its first rows, and fails where text follows after nulls: a first row of
            # texts tells it, and is skipped.
            names = [column.name for column in columns]
            texts = ", ".join(f"'' AS {identifier(name)}" for name in names)
            ordered = f"SELECT {selected} FROM {identifier(table)} ORDER BY rowid"  # noqa: S608
            cursor.execute(f"SELECT {texts} UNION ALL SELECT * FROM ({ordered})")  # noqa: S608
            reader = cursor.fetch_record_batch()
            _store(con, _numbered(_sound_text(_without_first_row(reader)), names, names, []), columns)
    except (adbc_driver_manager.Error, OSError, pa.ArrowInvalid, duckdb.Error) as error:
        if "UTF8" in str(error):
            raise RefusedBatchError(
                "wrong_encoding", f"{path.name} holds text that is not UTF-8; {ASK_AGAIN}"
            ) from error
        raise _unreadable(path, "a readable SQLite database", error) from error
    return Delivery(_count(con), "text", ())


def _require_whole_database(path: Path) -> None:
    """SQLite reads zeros where the last page is cut off, and an almost empty file as an empty database."""
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\x00"):
        raise RefusedBatchError("unreadable", f"{path.name} is not an SQLite database; {ASK_AGAIN}")
    page_bytes = int.from_bytes(header[16:18], "big")
    page_bytes = 65_536 if page_bytes == 1 else page_bytes
    pages = int.from_bytes(header[28:32], "big")
    size = path.stat().st_size
    # The count of pages holds where the last writer knew of it; pages are whole in any case.
    expected = page_bytes * pages if header[24:28] == header[92:96] else -(-size // page_bytes) * page_bytes
    if size < expected:
        raise RefusedBatchError(
            "truncated", f"{path.name} is cut off: {size} bytes where the database has {expected}; {ASK_AGAIN}"
        )


def _without_first_row(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for index, batch in enumerate(reader):
        yield batch if index else batch.slice(1)


def _sound_text(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, whose text must be UTF-8: a database hands on the bytes it was given."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _numbered(
    reader: Iterable[pa.RecordBatch],
    delivered: list[str],
    names: list[str],
    skipped: list[tuple[int, str, str, str]],
) -> Iterator[pa.RecordBatch]:
    """The batches with their record numbers in front; numbers of skipped records are left out."""
    schema = pa.schema([("_record_no", pa.int64()), *((name, pa.string()) for name in names)])
    next_number, used = 1, 0
    for batch in reader:
        positions = [batch.schema.get_field_index(name) for name in delivered]
        values = [batch.column(i).cast(pa.string()) for i in positions]
        # The reader tells of skipped records while it parses the block they stand in, so they are known by now.
        gaps = sorted(entry[0] for entry in skipped[used:])
        candidates = np.arange(next_number, next_number + batch.num_rows + len(gaps))
        numbers = candidates[~np.isin(candidates, gaps)][: batch.num_rows]
        if batch.num_rows:
            next_number = int(numbers[-1]) + 1
            used += sum(gap < next_number for gap in gaps)
        yield pa.RecordBatch.from_arrays([pa.array(numbers, pa.int64()), *values], schema=schema)


def _store(
    con: duckdb.DuckDBPyConnection, batches: Iterator[pa.RecordBatch], columns: tuple[ContractColumn, ...]
) -> None:
    schema = pa.schema([("_record_no", pa.int64()), *((column.name, pa.string()) for column in columns)])
    incoming = pa.RecordBatchReader.from_batches(schema, batches)
    con.register("incoming", incoming)
    try:
        con.execute("CREATE TEMP TABLE delivery AS SELECT * FROM incoming")
    finally:
        con.unregister("incoming")


def _count(con: duckdb.DuckDBPyConnection) -> int:
    return int(one_row(con, "SELECT count(*) FROM delivery")[0])


def _require_columns(path: Path, found: list[str], columns: tuple[ContractColumn, ...]) -> None:
    expected = [column.delivered_as for column in columns]
    twice = sorted({name for name in found if found.count(name) > 1})
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if twice:
        raise RefusedBatchError("duplicate_column", f"{path.name}: column {', '.join(twice)} stands twice; {ASK_AGAIN}")
    if missing:
        raise RefusedBatchError(
            "missing_column",
            f"{path.name}: column {', '.join(missing)} is missing"
            + (f" (there is {', '.join(extra)} instead)" if extra else "")
            + f": the source contract names {len(expected)} columns; {ASK_AGAIN}, or publish a new contract version",
        )
    if extra:
        raise RefusedBatchError(
            "extra_column",
            f"{path.name}: column {', '.join(extra)} is not in the source contract; "
            "publish a new contract version that names it, or have it removed",
        )


_LOSSLESS = {
    "BIGINT": {"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UINTEGER", "USMALLINT", "UTINYINT"},
    "DOUBLE": {"DOUBLE", "FLOAT"},
    "TIMESTAMPTZ": {"TIMESTAMP WITH TIME ZONE"},
    "TIMESTAMP": {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"},
}


def _require_type(path: Path, column: ContractColumn, found: str) -> None:
    if found not in _LOSSLESS.get(column.sql_type, {column.sql_type}):
        raise RefusedBatchError(
            "retyped_column",
            f"{path.name}: column {column.delivered_as} is {found} where the source contract says {column.sql_type}; "
            f"{ASK_AGAIN}, or publish a new contract version",
        )


def _json_path(key: str) -> str:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'$."{escaped}"'


def _require_closed_array(path: Path) -> None:
    """DuckDB takes an array that ends after a comma for a complete one."""
    with path.open("rb") as file:
        file.seek(-min(4096, path.stat().st_size), io.SEEK_END)
        ending = file.read().rstrip()
    if ending and not ending.endswith(b"]"):
        raise RefusedBatchError(
            "truncated", f"{path.name} is not one complete JSON array: it does not end with ']'; {ASK_AGAIN}"
        )


def _unreadable_text(path: Path, encoding: str, expected: str, error: Exception) -> RefusedBatchError:
    return find_wrong_encoding(path, encoding) or _unreadable(path, expected, error)


def _unreadable(path: Path, expected: str, error: Exception) -> RefusedBatchError:
    lines = str(error).strip().splitlines()
    reason = (lines[0] if lines else type(error).__name__).replace(str(path), path.name).rstrip(". ")
    return RefusedBatchError("unreadable", f"{path.name} is not {expected}: {reason}; {ASK_AGAIN}")


def payload_text(record: dict[str, object]) -> str:
    """A refused record as JSON text, characters as delivered."""
    return json.dumps(record, ensure_ascii=False, default=str)
