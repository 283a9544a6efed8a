"""Writing deliveries: neutral records through a system's export query into its own file format.

Every file is written under a temporary name and renamed, so that a watched folder never shows half a file.
The same records give the same bytes. Does not belong here: what the records say.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_sqlite.dbapi as sqlite
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from omgov_assets.sample_firm.business_day import BusinessDay

# A system exports its day half an hour after it has ended.
EXPORTED_AFTER_S = 1800

_BLOCK_BYTES = 8 << 20
_ROW_GROUP_ROWS = 131_072


@dataclass(frozen=True)
class Delivery:
    """A file that was written; ``batch_id`` is the beginning of its SHA-256."""

    path: Path
    records: int
    batch_id: str


@dataclass(frozen=True)
class _Format:
    suffix: str
    write: Callable[[duckdb.DuckDBPyConnection, str, Path, str], None]


def connect() -> duckdb.DuckDBPyConnection:
    """A connection whose results do not depend on the machine."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("SET preserve_insertion_order = true")
    return con


def deliver(
    con: duckdb.DuckDBPyConnection, out: Path, system: str, dataset: str, day: BusinessDay, records: pa.Table
) -> Delivery:
    """Write ``out/landing/<system>/<dataset>/<day>/<dataset>_<day>.<suffix>``."""
    file_format = _FORMATS[system]
    folder = out / "landing" / system / dataset / day.day.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset}_{day.day:%Y%m%d}.{file_format.suffix}"
    partial = folder / f".{path.name}.part"
    partial.unlink(missing_ok=True)
    query = Path(__file__).parent.joinpath("exports", system, f"{dataset}.sql").read_text(encoding="utf-8")
    con.register("records", records)
    try:
        con.execute("SET VARIABLE day = $day", {"day": day.day})
        file_format.write(con, query.strip().removesuffix(";"), partial, dataset)
    finally:
        con.unregister("records")
    batch_id = _sha256(partial)[:16]
    # The time of the export, whenever the firm is made.
    os.utime(partial, (day.end_s + EXPORTED_AFTER_S,) * 2)
    partial.replace(path)
    return Delivery(path, records.num_rows, batch_id)


def _write_csv(con: duckdb.DuckDBPyConnection, query: str, path: Path, dataset: str) -> None:
    con.sql(query).write_csv(str(path), header=True)


def _write_gbk_csv(con: duckdb.DuckDBPyConnection, query: str, path: Path, dataset: str) -> None:
    plain = path.with_suffix(".utf8")
    _write_csv(con, query, plain, dataset)
    with (
        plain.open(encoding="utf-8", newline="") as source,
        path.open("w", encoding="gbk", newline="") as target,
    ):
        while text := source.read(_BLOCK_BYTES):
            target.write(text)
    plain.unlink()


def _write_ndjson(con: duckdb.DuckDBPyConnection, query: str, path: Path, dataset: str) -> None:
    con.execute(f"COPY ({query}) TO {_quoted(path)} (FORMAT json)")


def _write_json_array(con: duckdb.DuckDBPyConnection, query: str, path: Path, dataset: str) -> None:
    con.execute(f"COPY ({query}) TO {_quoted(path)} (FORMAT json, ARRAY true)")


def _write_parquet(con: duckdb.DuckDBPyConnection, query: str, path: Path, dataset: str) -> None:
    pq.write_table(con.sql(query).to_arrow_table(), path, row_group_size=_ROW_GROUP_ROWS, compression="zstd")


def _write_sqlite(con: duckdb.DuckDBPyConnection, query: str, path: Path, dataset: str) -> None:
    table = con.sql(query).to_arrow_table()
    with closing(sqlite.connect(str(path), autocommit=True)) as database, database.cursor() as cursor:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):
            cursor.execute(f"PRAGMA {pragma}").fetchall()
        cursor.execute("BEGIN").fetchall()
        cursor.adbc_ingest(dataset, table, mode="create")
        cursor.execute("COMMIT").fetchall()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_FORMATS = {
    "securities_trading": _Format("csv", _write_gbk_csv),
    "asset_management": _Format("ndjson", _write_ndjson),
    "investment_banking": _Format("parquet", _write_parquet),
    "wealth_management": _Format("db", _write_sqlite),
    "institutional_trading": _Format("json", _write_json_array),
    "cmdb": _Format("csv", _write_csv),
}
