"""Reading the files that business systems deliver, as delivered: nothing is cast, nothing is dropped.

Each reader fills the temporary table ``delivery`` with ``_record_no`` (from 1, in file order) and one column per contract
column. Text formats give VARCHAR, JSON formats JSON, Parquet its own types. Does not belong here: judging values.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import adbc_driver_manager
import adbc_driver_sqlite.dbapi as sqlite
import duckdb
import pyarrow as pa
import pyarrow.csv as pacsv

from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.model_management.business_systems import SourceDataset
from omgov_assets.model_management.contracts import ContractColumn

BLOCK_BYTES = 8 << 20
ASK_AGAIN = "ask the business system to deliver the file again"

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
        RefusedBatchError: the file is empty, cut off, of another encoding or format, or its columns differ from the contract.
    """
    if path.stat().st_size == 0:
        raise RefusedBatchError("empty_file", f"{path.name} is empty (0 bytes): records were expected; {ASK_AGAIN}")
    if dataset.transport.format in {"csv", "ndjson", "json"} and dataset.transport.final_newline == "required":
        _require_final_newline(path, dataset.transport.encoding)
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
            _text_stream(path, dataset.transport.encoding),
            read_options=pacsv.ReadOptions(
                encoding=_stream_encoding(dataset.transport.encoding), use_threads=False, block_size=BLOCK_BYTES
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
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, dataset.transport.encoding, error) from error
    except pa.ArrowInvalid as error:
        raise RefusedBatchError("unreadable", f"{path.name} is not a readable CSV file: {error}; {ASK_AGAIN}") from error
    rows_in = _count(con) + len(malformed)
    if dataset.transport.line_ends_in_values == "allowed":
        _prove_record_count(path, dataset.transport.encoding, rows_in)
    else:
        _prove_line_count(path, dataset.transport.encoding, rows_in)
    return Delivery(rows_in, "text", tuple(malformed))


def _read_ndjson(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    try:
        reader = pacsv.open_csv(
            _text_stream(path, dataset.transport.encoding),
            read_options=pacsv.ReadOptions(
                encoding=_stream_encoding(dataset.transport.encoding),
                use_threads=False,
                block_size=BLOCK_BYTES,
                column_names=["line"],
            ),
            # One column: the delimiter is a control character that JSON text cannot hold unescaped.
            parse_options=pacsv.ParseOptions(delimiter="\x01", quote_char=False, ignore_empty_lines=False),
            convert_options=pacsv.ConvertOptions(column_types={"line": pa.string()}, strings_can_be_null=False),
        )
        lines = pa.RecordBatchReader.from_batches(
            pa.schema([("_record_no", pa.int64()), ("line", pa.string())]),
            _numbered(reader, ["line"], ["line"], []),
        )
        return _store_json(con, lines, "_record_no, line", path, dataset)
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, dataset.transport.encoding, error) from error
    except pa.ArrowInvalid as error:
        raise RefusedBatchError("unreadable", f"{path.name} is not readable NDJSON: {error}; {ASK_AGAIN}") from error


def _read_json_array(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    relation = f"(SELECT row_number() OVER () AS _record_no, json::VARCHAR AS line FROM read_json_objects({literal(str(path))}, format = 'array'))"  # noqa: S608, E501
    try:
        return _store_json(con, None, f"_record_no, line FROM {relation}", path, dataset)
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        reason = str(error).splitlines()[0]
        raise RefusedBatchError(
            "unreadable", f"{path.name} is not one complete JSON array: {reason}; {ASK_AGAIN}"
        ) from error


def _store_json(
    con: duckdb.DuckDBPyConnection,
    lines: pa.RecordBatchReader | None,
    selection: str,
    path: Path,
    dataset: SourceDataset,
) -> Delivery:
    """Split JSON texts into one JSON column per contract column, and check the keys."""
    columns = dataset.source_contract.columns
    paths = ", ".join(literal("$." + identifier(column.delivered_as)) for column in columns)
    values = ", ".join(
        f"nullif(fields[{position}], 'null') AS {identifier(column.name)}"
        for position, column in enumerate(columns, start=1)
    )
    source = "lines" if lines is not None else None
    query = f"SELECT {selection}" + (f" FROM {source}" if source else "")
    con.execute(
        f"""
        CREATE TEMP TABLE delivery AS
        SELECT _record_no, {values}, _keys, if(_keys IS NULL, line, NULL) AS _text
        FROM (
            SELECT _record_no, line,
                   if(_is_object, json_extract(line, [{paths}]), NULL) AS fields,
                   if(_is_object, array_to_string(json_keys(line), chr(31)), NULL) AS _keys
            FROM (SELECT *, json_valid(line) AND json_type(if(json_valid(line), line, 'null')) = 'OBJECT' AS _is_object FROM ({query}))
        )
        """  # noqa: S608, E501 - identifiers and literals are quoted
    )
    rows_in = _count(con)
    broken = con.execute("SELECT _record_no, _text FROM delivery WHERE _keys IS NULL ORDER BY 1").fetchall()
    if broken and len(broken) == rows_in:
        raise RefusedBatchError("unreadable", f"{path.name} holds no JSON object on any line; {ASK_AGAIN}", rows_in)
    unexpected = _check_keys(con, path, columns, rows_in - len(broken))
    con.execute("DELETE FROM delivery WHERE _keys IS NULL")
    malformed = [(number, "broken_json", "not one complete JSON object", text) for number, text in broken]
    if unexpected:
        rows = con.execute(
            "SELECT _record_no, _keys, to_json(delivery)::VARCHAR FROM delivery WHERE _keys IN (SELECT unnest(?))",
            [list(unexpected)],
        ).fetchall()
        con.execute("DELETE FROM delivery WHERE _keys IN (SELECT unnest(?))", [list(unexpected)])
        malformed += [(n, "unexpected_key", f"keys outside the contract: {unexpected[k]}", text) for n, k, text in rows]
    con.execute("ALTER TABLE delivery DROP COLUMN _keys")
    con.execute("ALTER TABLE delivery DROP COLUMN _text")
    return Delivery(rows_in, "json", tuple(malformed))


def _check_keys(
    con: duckdb.DuckDBPyConnection, path: Path, columns: tuple[ContractColumn, ...], records: int
) -> dict[str, str]:
    """Refuse a batch whose records all lack or all add a key; return the key sets of single odd records."""
    shapes = con.execute("SELECT _keys, count(*) FROM delivery WHERE _keys IS NOT NULL GROUP BY 1 ORDER BY 1").fetchall()
    expected = {column.delivered_as for column in columns}
    seen: dict[str, int] = {}
    for keys, count in shapes:
        for key in set(keys.split("\x1f")):
            seen[key] = seen.get(key, 0) + count
    everywhere = sorted(key for key, count in seen.items() if count == records)
    _require_columns(path, [*(key for key in everywhere if key not in expected), *(seen.keys() & expected)], columns)
    odd = {keys: sorted(set(keys.split("\x1f")) - expected) for keys, _ in shapes}
    return {keys: ", ".join(extra) for keys, extra in odd.items() if extra}


def _read_parquet(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    columns = dataset.source_contract.columns
    scan = f"read_parquet({literal(str(path))}, file_row_number = true)"
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
    except (duckdb.InvalidInputException, duckdb.IOException) as error:
        reason = str(error).splitlines()[0].replace(str(path), path.name)
        raise RefusedBatchError(
            "unreadable", f"{path.name} is not a complete Parquet file: {reason}; {ASK_AGAIN}"
        ) from error
    return Delivery(_count(con), "typed", ())


def _read_sqlite(con: duckdb.DuckDBPyConnection, path: Path, dataset: SourceDataset) -> Delivery:
    columns = dataset.source_contract.columns
    table = dataset.transport.table or dataset.name
    try:
        with sqlite.connect(f"file:{path}?mode=ro&immutable=1") as connection, connection.cursor() as cursor:
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
            cursor.execute(f"SELECT {selected} FROM {identifier(table)} ORDER BY rowid")  # noqa: S608
            reader = cursor.fetch_record_batch()
            names = [column.name for column in columns]
            _store(con, _numbered(reader, reader.schema.names, names, []), columns)
    except (adbc_driver_manager.Error, OSError, pa.ArrowInvalid, duckdb.Error) as error:
        reason = str(error).splitlines()[0]
        raise RefusedBatchError(
            "unreadable", f"{path.name} is not a readable SQLite database: {reason}; {ASK_AGAIN}"
        ) from error
    return Delivery(_count(con), "text", ())


def _numbered(
    reader: pa.RecordBatchReader,
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
        numbers: list[int] | range
        if gaps and gaps[0] < next_number + batch.num_rows + len(gaps):
            numbers, candidate, taken = [], next_number, set(gaps)
            while len(numbers) < batch.num_rows:
                if candidate not in taken:
                    numbers.append(candidate)
                candidate += 1
            used += sum(gap < candidate for gap in gaps)
            next_number = candidate
        else:
            numbers = range(next_number, next_number + batch.num_rows)
            next_number += batch.num_rows
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


def _require_final_newline(path: Path, encoding: str) -> None:
    ending = "\n".encode("utf-16-le") if encoding == "utf-16" else b"\n"
    with path.open("rb") as file:
        file.seek(-min(len(ending), path.stat().st_size), io.SEEK_END)
        complete = file.read() in {ending, ending[::-1]}
    if not complete:
        raise RefusedBatchError(
            "truncated", f"{path.name} does not end with a line end: its last record is cut off; {ASK_AGAIN}"
        )


def _text_stream(path: Path, encoding: str) -> Path | io.BytesIO:
    """The file, or its text in UTF-8 where Arrow cannot split it into lines by itself."""
    if encoding != "utf-16":
        return path
    try:
        return io.BytesIO(path.read_bytes().decode("utf-16").encode("utf-8"))
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, encoding, error) from error


def _stream_encoding(encoding: str) -> str:
    return "utf-8" if encoding == "utf-16" else encoding


def _wrong_encoding(path: Path, encoding: str, error: UnicodeDecodeError) -> RefusedBatchError:
    found = error.object[error.start : error.end].hex()
    return RefusedBatchError(
        "wrong_encoding",
        f"{path.name} is not {encoding.upper()}: bytes {found} ({error.reason}); deliver it in {encoding.upper()}, "
        "or declare its encoding in defs.yaml",
    )


def _prove_line_count(path: Path, encoding: str, rows: int) -> None:
    """Records must be lines: a quoted value that runs over a line end would swallow records unseen."""
    if encoding == "utf-16":
        lines = path.read_bytes().decode("utf-16").count("\n")
        unended = False
    else:
        lines, last = 0, b"\n"
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                lines += block.count(b"\n")
                last = block[-1:]
        unended = last != b"\n"
    expected = lines + unended - 1
    if rows != expected:
        raise RefusedBatchError(
            "line_count_mismatch",
            f"{path.name} has {expected} lines below its header but {rows} records: a quoted value runs over a line end; "
            "deliver values without line ends, and close every quote",
            rows,
        )


def _prove_record_count(path: Path, encoding: str, rows: int) -> None:
    """Where values may run over line ends, a record ends with the line that closes its last quote.

    Counted by the parity of quotes alone, so that a quote that is never closed cannot swallow records unseen.
    """
    text = path.read_bytes().decode("utf-16" if encoding == "utf-16" else encoding)
    records, is_open = 0, False
    for line in text.split("\n")[: None if text and not text.endswith("\n") else -1]:
        is_open ^= line.count('"') % 2 == 1
        records += not is_open
    if is_open or rows != records - 1:
        raise RefusedBatchError(
            "record_count_mismatch",
            f"{path.name} has {records - 1} records by its quotes but {rows} were read"
            + (", and its last quote is never closed" if is_open else "")
            + "; close every quote, and double quotes inside values",
            rows,
        )


def payload_text(record: dict[str, object]) -> str:
    """A refused record as JSON text, characters as delivered."""
    return json.dumps(record, ensure_ascii=False, default=str)
