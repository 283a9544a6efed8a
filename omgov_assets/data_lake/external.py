"""Reading data that is not the lake's own: a Delta table of someone else, Parquet or CSV, as a view of a connection.

Belongs here: what a path holds and how it is read whole. A Delta table is read by its log, never by its folder: a
deleted row stays deleted, a renamed column bears its name. Does not belong here: the lake's own tables (``lake``),
which are read pinned to their contract.
"""

from __future__ import annotations

import codecs
import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from omgov_assets.data_lake.lake import create_view
from omgov_assets.data_lake.sql import identifier, literal

Kind = Literal["delta", "parquet", "csv"]

_SUFFIXES: dict[str, Kind] = {
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv",
}  # fmt: skip
_GLOB = "*?["
_DELIMITERS = (",", "\t", ";", "|")
_HEADER_BYTES = 1 << 20
_RECODED_BYTES = 1 << 20


class UnreadableDataError(Exception):
    """A path that cannot be read as a table; the message says why and what to do."""


@dataclass(frozen=True)
class ExternalData:
    """A table made readable: the view that shows it, what it was, its columns with their DuckDB types."""

    view: str
    path: str
    kind: Kind
    columns: dict[str, str]


@contextmanager
def external_data(
    con: duckdb.DuckDBPyConnection, path: str, view: str, encoding: str = "utf-8"
) -> Iterator[ExternalData]:
    """Make data readable as a view, for as long as the context is open.

    Args:
        con: a connection of the lake.
        path: folder of a Delta table; file, folder or glob of Parquet; CSV with a header line, also several of one
            shape. Values of ``name=value`` folders stay text.
        view: name of the view.
        encoding: encoding of CSV.

    Raises:
        UnreadableDataError: nothing there, of mixed kinds, not what it seems, or in another encoding.
    """
    kind, files = _located(path)
    with tempfile.TemporaryDirectory(prefix="recoded-", dir=_spill_folder(con)) as spare:
        try:
            match kind:
                case "delta":
                    _register_delta(con, files[0], view)
                case "parquet":
                    create_view(con, view, _parquet(path, files))
                case "csv":
                    _keep(con, view, _csv(_recoded(files, encoding, Path(spare))))
            columns = {name: sql_type for name, sql_type, *_ in con.execute(f"DESCRIBE {identifier(view)}").fetchall()}
        except (duckdb.Error, DeltaError, OSError) as error:
            reason = " ".join(str(error).split("\n")[:2])
            raise UnreadableDataError(f"{path}: not readable as {kind}: {reason}") from error
        yield ExternalData(view, path, kind, columns)


def _located(path: str) -> tuple[Kind, list[Path]]:
    """What a path holds, and its files; the folder itself of a Delta table."""
    given = Path(path)
    if (given / "_delta_log").is_dir():
        return "delta", [given]
    if given.is_file():
        files = [given]
    elif given.is_dir():
        files = [file for file in sorted(given.rglob("*")) if file.is_file() and not _hidden(file.relative_to(given))]
        files = [file for file in files if _kind(file)]
    elif any(character in path for character in _GLOB):
        root, pattern = _split_glob(given)
        files = [file for file in sorted(root.glob(pattern)) if file.is_file() and not _hidden(file.relative_to(root))]
    else:
        raise UnreadableDataError(f"{path}: no such file or folder")
    kinds = {_kind(file) for file in files}
    if not files:
        raise UnreadableDataError(f"{path}: holds no Parquet or CSV file and is no Delta table")
    if len(kinds) > 1:
        raise UnreadableDataError(f"{path}: holds Parquet beside CSV or other files; name the ones that are one table")
    kind = kinds.pop()
    if kind is None:
        raise UnreadableDataError(f"{path}: {files[0].name} is none of {', '.join(_SUFFIXES)} and no Delta table")
    return kind, files


def _kind(file: Path) -> Kind | None:
    name = Path(file.stem) if file.suffix == ".gz" else file
    return _SUFFIXES.get(name.suffix.lower())


def _hidden(relative: Path) -> bool:
    """Whether a file is a by-product of who wrote the folder, as Spark and Hive mark it."""
    return any(part.startswith((".", "_")) for part in relative.parts)


def _split_glob(pattern: Path) -> tuple[Path, str]:
    first = next(n for n, part in enumerate(pattern.parts) if any(character in part for character in _GLOB))
    return Path(*pattern.parts[:first]), "/".join(pattern.parts[first:])


def _register_delta(con: duckdb.DuckDBPyConnection, folder: Path, view: str) -> None:
    """Show a Delta table at its last version."""
    delta = DeltaTable(folder)
    mapped = delta.metadata().configuration.get("delta.columnMapping.mode", "none") != "none"
    features = set(delta.protocol().reader_features or ())
    if mapped or {"deletionVectors", "columnMapping"} & features:
        # Only delta-rs's own engine honours these, and its stream can be read but once.
        con.register("delta stream", delta.scan())
        _keep(con, view, f"SELECT * FROM {identifier('delta stream')}")  # noqa: S608 - quoted
        con.unregister("delta stream")
    else:
        con.register(view, delta.to_pyarrow_dataset())


def _keep(con: duckdb.DuckDBPyConnection, view: str, query: str) -> None:
    """Read something once that would be dear or impossible to read again; DuckDB spills what memory does not hold."""
    kept = identifier(f"{view} kept")
    con.execute(f"CREATE OR REPLACE TABLE {kept} AS {query}")
    create_view(con, view, f"SELECT * FROM {kept}")  # noqa: S608 - quoted


def _parquet(path: str, files: Sequence[Path]) -> str:
    given = Path(path)
    root = given if given.is_dir() else _split_glob(given)[0] if not given.is_file() else given.parent
    hive = all("=" in part for file in files for part in file.relative_to(root).parts[:-1]) and any(
        len(file.relative_to(root).parts) > 1 for file in files
    )
    return (
        f"SELECT * FROM read_parquet({_paths(files)}, union_by_name = true, "  # noqa: S608 - paths are quoted
        f"hive_partitioning = {literal(hive)}, hive_types_autocast = false)"
    )


def _csv(files: Sequence[Path]) -> str:
    # The dialect is said, since DuckDB would find one under which a malformed line reads as something else. Types are
    # found in all rows rather than a sample: a value further down must not break the reading.
    return (
        f"SELECT * FROM read_csv({_paths(files)}, header = true, delim = {literal(_delimiter(files[0]))}, "  # noqa: S608
        "quote = '\"', escape = '\"', comment = '', skip = 0, strict_mode = true, null_padding = false, "
        "sample_size = -1, union_by_name = true, hive_partitioning = false)"
    )


def _delimiter(file: Path) -> str:
    """The one of the usual delimiters that the header has most of."""
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as opened:
        header = re.sub(rb'"[^"]*"', b"", opened.readline(_HEADER_BYTES))
    return max(_DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))


def _paths(files: Sequence[Path]) -> str:
    """A list of file names for DuckDB, which would read `*`, `?` and `[` in them as patterns."""
    escaped = ("".join(f"[{c}]" if c in _GLOB else c for c in str(file)) for file in files)
    return "[" + ", ".join(map(literal, escaped)) + "]"


def _recoded(files: Sequence[Path], encoding: str, folder: Path) -> Sequence[Path]:
    """The files in UTF-8, rewritten in ``folder`` where they are in another encoding, which DuckDB cannot read."""
    try:
        if codecs.lookup(encoding).name == "utf-8":
            return files
    except LookupError as error:
        raise UnreadableDataError(f"{encoding}: no such encoding") from error
    recoded = []
    for number, file in enumerate(files):
        target = folder / f"{number}{file.suffix}"
        if file.suffix == ".gz":
            raise UnreadableDataError(f"{file}: unpack it first: only UTF-8 is read packed")
        try:
            with (
                file.open(encoding=encoding, newline="") as source,
                target.open("w", encoding="utf-8", newline="") as out,
            ):
                shutil.copyfileobj(source, out, _RECODED_BYTES)
        except UnicodeDecodeError as error:
            raise UnreadableDataError(f"{file}: not valid {encoding} at byte {error.start} of a block") from error
        recoded.append(target)
    return recoded


def _spill_folder(con: duckdb.DuckDBPyConnection) -> str | None:
    """Where the connection spills, which is under the home; the system's own where that is not there."""
    row = con.execute("SELECT current_setting('temp_directory')").fetchall()
    folder = Path(str(row[0][0]))
    return str(folder) if folder.is_dir() else None
