"""A file that would take too much is refused before it takes it, and no name leads out of the landing folder."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_firm import COLUMNS, FORMATS, SYSTEM, FirmOf, SmallFirm, file_bytes

from omgov_assets.admission.delivered_table import unreadable
from omgov_assets.admission.deliveries import read_delivery
from omgov_assets.admission.delivery_limits import (
    HARMLESS_BYTES,
    copy_within_limits,
    recorded_name,
    require_own_file,
)
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.durability import is_no_room
from omgov_assets.model_management.business_systems import Limits, SourceDataset

NAMES = COLUMNS[SYSTEM, "metric_definitions"]
RECORDS: list[dict[str, object]] = [{"metric": f"cpu{n}", "unit": "%", "interval_s": n} for n in range(1, 6)]


def limited(firm: SmallFirm, **limits: int) -> SourceDataset:
    dataset = firm.governance.systems[SYSTEM].datasets["metric_definitions"]
    transport = dataset.transport.model_copy(update={"limits": Limits(**limits)})
    return dataset.model_copy(update={"transport": transport})


def refusal(dataset: SourceDataset, path: Path) -> RefusedBatchError:
    with duckdb.connect() as con, pytest.raises(RefusedBatchError) as refused:
        read_delivery(con, path, dataset)
    assert "\n" not in refused.value.sentence
    return refused.value


def landed(folder: Path, content: bytes) -> Path:
    path = folder / "a file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("delivers", "code", "limit", "value"),
    [
        (delivers, *held_to)
        for delivers in FORMATS
        for held_to in (("too_large", "max_file_bytes", 20), ("too_many_rows", "max_rows", 4))
    ]
    # Parquet has columns rather than records: its size as a whole is limited.
    + [(delivers, "record_too_large", "max_row_bytes", 5) for delivers in FORMATS if delivers != "parquet"],
)
def test_each_format_is_held_to_its_limits(
    firm_of: FirmOf, tmp_path: Path, delivers: str, code: str, limit: str, value: int
) -> None:
    path = landed(tmp_path, file_bytes(FORMATS[delivers], NAMES, RECORDS))
    found = refusal(limited(firm_of(delivers), **{limit: value}), path)
    assert found.code == code
    assert str(value) in found.sentence
    assert f"raise {limit} in defs.yaml" in found.sentence


@pytest.mark.parametrize("delivers", FORMATS)
def test_what_is_just_within_the_limits_is_read(firm_of: FirmOf, tmp_path: Path, delivers: str) -> None:
    content = file_bytes(FORMATS[delivers], NAMES, RECORDS)
    dataset = limited(firm_of(delivers), max_file_bytes=len(content), max_rows=5)
    with duckdb.connect() as con:
        assert read_delivery(con, landed(tmp_path, content), dataset).rows_in == 5


@pytest.mark.parametrize("delivers", ["ndjson", "json"])
def test_json_that_is_nested_too_deep_is_quarantined_as_delivered(
    firm_of: FirmOf, tmp_path: Path, delivers: str
) -> None:
    brackets_in_text = json.dumps({**RECORDS[0], "unit": "[{" * 99})
    deep = '{"metric": "a", "interval_s": 1, "unit": ' + "[" * 50_000 + "]" * 50_000 + "}"
    just = '{"metric": "a", "interval_s": 1, "unit": ' + "[" * 63 + "]" * 63 + "}"
    records = [brackets_in_text, deep, just]
    text = "\n".join(records) if delivers == "ndjson" else f"[{','.join(records)}]"
    with duckdb.connect() as con:
        delivery = read_delivery(con, landed(tmp_path, (text + "\n").encode()), limited(firm_of(delivers)))
        assert delivery.rows_in == 3
        [(number, code, sentence, payload)] = delivery.malformed
        assert (number, code, payload) == (2, "nested_too_deep", deep)
        assert "more than the 64 allowed" in sentence
        assert con.execute("SELECT _record_no FROM delivery ORDER BY 1").fetchall() == [(1,), (3,)]


def memory_of_reading(path: Path, dataset: SourceDataset, tmp_path: Path) -> tuple[str, int]:
    """Reason code of a refusal, and by how many megabytes the process that read the file grew at its peak."""
    (tmp_path / "dataset.json").write_text(dataset.transport.model_dump_json())
    script = """
import resource, sys
from pathlib import Path
import duckdb
from small_firm import SYSTEM, SmallFirm
from omgov_assets.admission.deliveries import read_delivery
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.model_management.business_systems import Transport
from omgov_assets.model_management.governance import load_governance

dataset = load_governance(Path(sys.argv[1])).systems[SYSTEM].datasets["metric_definitions"]
transport = Transport.model_validate_json(Path(sys.argv[3]).read_text())
dataset = dataset.model_copy(update={"transport": transport})
with duckdb.connect(config={"threads": 1}) as con:
    con.execute("SELECT count(*) FROM range(10)").fetchall()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code = "read"
    try:
        read_delivery(con, Path(sys.argv[2]), dataset)
    except RefusedBatchError as refused:
        code = refused.code
    print(code, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1000)
"""
    project = dataset.model.path.parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, str(project), str(path), str(tmp_path / "dataset.json")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    code, megabytes = done.stdout.split()
    return code, int(megabytes)


def bomb_of_parquet(path: Path) -> None:
    """Twenty million equal records in a hundred kilobytes."""
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT 'a' AS metric, '%' AS unit, 1::BIGINT AS interval_s FROM range(20_000_000)) "
            f"TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 10_000_000)"
        )


def bomb_of_nesting(path: Path) -> None:
    path.write_bytes(b"[" * (64 << 20) + b"]\n")


def bomb_of_one_line(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b"metric,unit,interval_s\n")
        for _ in range(300):
            file.write(b"a" * (1 << 20))
        file.write(b"\n")


def bomb_of_a_value(path: Path) -> None:
    with sqlite3.connect(path) as con:
        con.execute("CREATE TABLE exported (metric, unit, interval_s)")
        con.execute("INSERT INTO exported VALUES (zeroblob(?), '%', 1)", [300 << 20])
    con.close()


@pytest.mark.parametrize(
    ("delivers", "bomb", "code", "megabytes"),
    [
        ("parquet", bomb_of_parquet, "expands_too_much", 30),
        ("json", bomb_of_nesting, "record_too_large", 250),
        ("csv", bomb_of_one_line, "record_too_large", 150),
        ("ndjson", bomb_of_one_line, "record_too_large", 150),
        ("sqlite", bomb_of_a_value, "record_too_large", 100),
    ],
)
def test_a_bomb_costs_little_memory(
    firm_of: FirmOf, tmp_path: Path, delivers: str, bomb: Any, code: str, megabytes: int
) -> None:
    path = tmp_path / "bomb"
    bomb(path)
    found, grown = memory_of_reading(path, limited(firm_of(delivers)), tmp_path)
    path.unlink()
    assert found == code
    assert grown < megabytes


def parquet_of(path: Path, metric: pa.Array) -> Path:
    count = len(metric)
    columns = {"metric": metric, "unit": pa.array(["%"] * count), "interval_s": pa.array([1] * count)}
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=10_000)
    return path


def test_values_that_take_more_memory_than_there_may_be_are_the_files_fault(firm_of: FirmOf, tmp_path: Path) -> None:
    # It stands in the file once, and in memory for every record.
    value = pa.array(["x" * 200_000]).dictionary_encode().take(pa.array([0] * 2000))
    path = parquet_of(tmp_path / "bomb", value)
    config: dict[str, Any] = {"memory_limit": "60MB", "temp_directory": "", "threads": 1}
    with duckdb.connect(config=config) as con, pytest.raises(RefusedBatchError) as refused:
        read_delivery(con, path, limited(firm_of("parquet")))
    assert refused.value.code == "expands_too_much"


def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path) -> None:
    config: dict[str, Any] = {"memory_limit": "40MB", "threads": 1, "temp_directory": str(tmp_path / "spill")}
    # Texts that nothing makes small.
    texts = "SELECT md5(i::VARCHAR) || md5((i + 1)::VARCHAR) || md5((i + 7)::VARCHAR) FROM range(2_000_000) AS r(i)"
    with duckdb.connect(config=config) as con:
        con.execute("SET max_temp_directory_size = '1MB'")
        with pytest.raises(duckdb.OutOfMemoryException) as raised:
            con.execute(f"CREATE TEMP TABLE delivery AS {texts}")
    assert is_no_room(raised.value)
    with pytest.raises(duckdb.OutOfMemoryException):
        unreadable(tmp_path / "a file", "a complete Parquet file", raised.value)


def test_an_archive_that_expands_without_end_is_cut_short() -> None:
    class Zeros(io.RawIOBase):
        read_bytes = 0

        def read(self, size: int = -1) -> bytes:
            self.read_bytes += size
            return bytes(size)

    source, target = Zeros(), io.BytesIO()
    with pytest.raises(RefusedBatchError) as refused:
        copy_within_limits("a.gz", source, target, 1000, Limits())  # type: ignore[arg-type]
    assert refused.value.code == "expands_too_much"
    assert source.read_bytes <= HARMLESS_BYTES + (1 << 20)
    with pytest.raises(RefusedBatchError) as refused:
        copy_within_limits("a.gz", Zeros(), io.BytesIO(), 1 << 30, Limits(max_file_bytes=3 << 20))  # type: ignore[arg-type]
    assert refused.value.code == "too_large"
    copy_within_limits("a.gz", io.BytesIO(b"records"), target := io.BytesIO(), 1, Limits())
    assert target.getvalue() == b"records"


def test_a_file_of_the_landing_folder_is_the_firms_own(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    folder = landing / "system" / "dataset" / "2026-11-20"
    folder.mkdir(parents=True)
    for name in ("a.csv", "-rf", "日报 1.csv", "..csv", "x" * 255, "a'; DROP TABLE x", "%2e%2e", "~", "a\u3000b"):
        path = folder / name
        path.write_bytes(b"x")
        require_own_file(path, landing)
        assert recorded_name(path, landing) == f"system/dataset/2026-11-20/{name}"
    # The landing folder itself may be a link: that is the firm's choice.
    (tmp_path / "link").symlink_to(landing)
    require_own_file(tmp_path / "link" / "system" / "dataset" / "2026-11-20" / "a.csv", tmp_path / "link")


def test_what_leads_out_of_the_landing_folder_is_not_taken(tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    folder, elsewhere = landing / "system" / "dataset" / "2026-11-20", tmp_path / "elsewhere"
    folder.mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("x")
    (folder / "link").symlink_to(elsewhere / "secret")
    (folder / "dangling").symlink_to(tmp_path / "nothing")
    (landing / "other").symlink_to(elsewhere)
    (landing / "beside").write_text("x")
    (folder / "inner").symlink_to(landing / "beside")
    os.mkfifo(folder / "pipe")
    for path, words in (
        (folder / "link", "it is a link"),
        (folder / "dangling", "it is a link"),
        (folder / "inner", "it is a link"),
        (landing / "other" / "secret", "other on its way is a link"),
        (folder / ".." / "2026-11-20" / "link", "it does not lie in the landing folder"),
        (landing / ".." / "elsewhere" / "secret", "it does not lie in the landing folder"),
        (elsewhere / "secret", "it does not lie in the landing folder"),
        (folder / "pipe", "it is no file"),
        (folder, "it is no file"),
    ):
        with pytest.raises(RefusedBatchError) as refused:
            require_own_file(path, landing)
        assert refused.value.code == "outside_landing"
        assert words in refused.value.sentence


@pytest.mark.parametrize(
    ("name", "recorded"),
    [
        (b"a\nb.csv", "a\\nb.csv"),
        (b"\x1b[31m.csv", "\\x1b[31m.csv"),
        (b"\xb4\xc5\xc5\xcc.csv", "\\xb4\\xc5\\xc5\\xcc.csv"),
        ("a\u202eb".encode(), "a\\u202eb"),
    ],
)
def test_a_name_that_cannot_be_written_down_is_refused_and_recorded_escaped(
    tmp_path: Path, name: bytes, recorded: str
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"x")
    assert recorded_name(path, tmp_path) == recorded
    with pytest.raises(RefusedBatchError) as refused:
        require_own_file(path, tmp_path)
    assert refused.value.code == "unusable_name"
    assert recorded in refused.value.sentence
    refused.value.sentence.encode()
