"""Data that is not the lake's own is read whole and exactly, or refused with what to do."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from omgov_assets.data_lake.external import UnreadableDataError, external_data
from omgov_assets.data_lake.lake import Lake

CONTRACTS = Path(__file__).parents[2] / "governance" / "standard" / "data_contracts"


@pytest.fixture
def con(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with Lake(tmp_path / "home" / "lake", CONTRACTS).connect() as opened:
        yield opened


def read(con: duckdb.DuckDBPyConnection, path: Path | str, encoding: str = "utf-8") -> list[tuple[Any, ...]]:
    with external_data(con, str(path), "data", encoding) as data:
        assert (
            con.execute("SELECT count(*) FROM data").fetchall() == con.execute("FROM data SELECT count(*)").fetchall()
        )
        assert list(data.columns) == [name for name, *_ in con.execute("DESCRIBE data").fetchall()]
        return con.execute("SELECT * FROM data ORDER BY ALL").fetchall()


def commit(folder: Path, version: int, *actions: dict[str, Any]) -> None:
    log = folder / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    (log / f"{version:020d}.json").write_text("".join(json.dumps(action) + "\n" for action in actions), "utf-8")


def table_actions(fields: list[dict[str, Any]], features: list[str], **configuration: str) -> list[dict[str, Any]]:
    return [
        {"protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}},
        {"metaData": {
            "id": "6a1c0a8e-0000-4000-8000-000000000000", "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}), "partitionColumns": [],
            "configuration": configuration, "createdTime": 0}},
    ]  # fmt: skip


def z85(data: bytes) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = ""
    for (word,) in struct.iter_unpack(">I", data):
        text += "".join(digits[word // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def test_a_delta_table_is_read_by_its_log_and_not_by_its_folder(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "it's 1 中"
    first = pa.table({"day": ["a", "b"], "n": pa.array([1, 2], pa.int64())})
    write_deltalake(folder, first, partition_by=["day"])
    write_deltalake(folder, pa.table({"day": ["b"], "n": pa.array([3], pa.int64())}), mode="overwrite",
                    predicate="day = 'b'")  # fmt: skip
    later = pa.table({"day": ["c/d"], "n": pa.array([4], pa.int64()), "m": [0.5]})
    write_deltalake(folder, later, mode="append", schema_mode="merge")
    assert read(con, folder) == [(1, "a", None), (3, "b", None), (4, "c/d", 0.5)]


def test_a_row_that_a_deletion_vector_marks_is_gone(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    pq.write_table(pa.table({"n": pa.array([10, 11, 12, 13], pa.int64())}), folder / "f.parquet")
    bitmap = struct.pack("<IIHHIHH", 12346, 1, 0, 1, 16, 1, 3)  # one array container that holds rows 1 and 3
    vector = struct.pack("<IQI", 1681511377, 1, 0) + bitmap
    field = {"name": "n", "type": "long", "nullable": True, "metadata": {}}
    commit(folder, 0, *table_actions([field], ["deletionVectors"]), {"add": {
        "path": "f.parquet", "partitionValues": {}, "size": (folder / "f.parquet").stat().st_size,
        "modificationTime": 0, "dataChange": True, "stats": json.dumps({"numRecords": 4}),
        "deletionVector": {"storageType": "i", "pathOrInlineDv": z85(vector), "sizeInBytes": len(vector),
                           "cardinality": 2}}})  # fmt: skip
    assert DeltaTable(folder).version() == 0
    assert read(con, folder) == [(10,), (12,)]
    with external_data(con, str(folder), "data"):
        assert con.execute("SELECT sum(n) FROM data").fetchall() == con.execute("SELECT sum(n) FROM data").fetchall()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_mapped_column_bears_its_own_name(con: duckdb.DuckDBPyConnection, tmp_path: Path, legacy: bool) -> None:
    folder = tmp_path / "t"
    folder.mkdir()
    pq.write_table(pa.table({"col-1": pa.array([7, 8], pa.int64())}), folder / "f.parquet")
    field = {"name": "内存", "type": "long", "nullable": True,
             "metadata": {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}}  # fmt: skip
    actions = table_actions([field], ["columnMapping"], **{
        "delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "1"})  # fmt: skip
    if legacy:
        actions[0] = {"protocol": {"minReaderVersion": 2, "minWriterVersion": 5}}
    commit(folder, 0, *actions, {"add": {
        "path": "f.parquet", "partitionValues": {}, "size": (folder / "f.parquet").stat().st_size,
        "modificationTime": 0, "dataChange": True}})  # fmt: skip
    with external_data(con, str(folder), "data") as data:
        assert (data.kind, data.columns) == ("delta", {"内存": "BIGINT"})
    assert read(con, folder) == [(7,), (8,)]


def test_a_torn_delta_log_is_refused(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "t" / "_delta_log").mkdir(parents=True)
    with (
        pytest.raises(UnreadableDataError, match="not readable as delta"),
        external_data(con, str(tmp_path / "t"), "d"),
    ):
        pass


def test_parquet_is_a_file_a_folder_or_a_pattern(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    for name, rows in {
        "a[1].parquet": {"n": [1]}, "sub/b.parquet": {"n": [2], "m": ["x"]}, "_temporary/c.parquet": {"n": [3]},
        ".d.parquet": {"n": [4]}, "_SUCCESS": None,
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch() if rows is None else pq.write_table(pa.table(rows), folder / name)
    assert read(con, folder / "a[1].parquet") == [(1,)]
    assert read(con, folder) == [(1, None), (2, "x")]
    assert read(con, f"{folder}/*/b.parquet") == [(2, "x")]
    assert read(con, f"{folder}/**/*.parquet") == [(1, None), (2, "x")]


def test_the_values_of_partition_folders_stay_text(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for code in ("000001", "600000"):
        (tmp_path / "p" / f"code={code}").mkdir(parents=True)
        pq.write_table(pa.table({"n": [int(code)]}), tmp_path / "p" / f"code={code}" / "f.parquet")
    assert read(con, tmp_path / "p") == [(1, "000001"), (600000, "600000")]
    assert read(con, tmp_path / "p" / "code=000001" / "f.parquet") == [(1,)]


def test_csv_keeps_leading_zeros_and_digits_and_takes_its_types_from_all_rows(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    rows = "".join(f"{n},{n:06d},{10**25 + n}\n" for n in range(30_000))
    path.write_text(f"n,code,order_no\n{rows}x,000001,1\n", "utf-8")
    with external_data(con, str(path), "data") as data:
        assert data.columns == {"n": "VARCHAR", "code": "VARCHAR", "order_no": "HUGEINT"}
        assert con.execute("SELECT count(*), max(order_no) FROM data").fetchall() == [(30_001, 10**25 + 29_999)]


def test_csv_in_another_encoding_is_read_when_it_is_named(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("指标,值\n内存使用率,5\n", "gb18030")
    assert read(con, path, "gb18030") == [("内存使用率", 5)]
    with pytest.raises(UnreadableDataError, match="not readable as csv"), external_data(con, str(path), "data"):
        pass
    with pytest.raises(UnreadableDataError, match="no such encoding"), external_data(con, str(path), "d", "klingon"):
        pass
    path.write_bytes(b"a\n\xff\xff\n")
    with pytest.raises(UnreadableDataError, match="not valid gb18030"), external_data(con, str(path), "d", "gb18030"):
        pass


def test_csv_may_be_packed_and_begin_with_a_byte_order_mark(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress("\ufeffn,s\n1,a\n".encode()))
    assert read(con, path) == [(1, "a")]
    with external_data(con, str(path), "data") as data:
        assert list(data.columns) == ["n", "s"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("absent.parquet", None, "no such file or folder"),
        ("x.parquet", b"PAR1 but no more", "not readable as parquet"),
        ("x.parquet", b"", "not readable as parquet"),
        ("x.csv", b'n,s\n1,"open\n2,b\n', "not readable as csv"),
        ("x.csv", b"n,s\n1,a\n2,b,c,d\n", "not readable as csv"),
        ("x.xlsx", b"PK", "is none of"),
        ("absent*.csv", None, "holds no Parquet or CSV"),
    ],
)
def test_what_is_no_table_is_refused_with_a_reason(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableDataError, match=reason), external_data(con, str(tmp_path / name), "data"):
        con.execute("SELECT * FROM data").fetchall()


def test_files_of_two_kinds_are_no_table(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.csv").write_text("n\n1\n", "utf-8")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "p" / "b.parquet")
    with pytest.raises(UnreadableDataError, match="beside"), external_data(con, str(tmp_path / "p"), "data"):
        pass
