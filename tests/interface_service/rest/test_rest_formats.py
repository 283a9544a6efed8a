"""Every format, read back by a library of its own, holds the rows that the door gives; nothing in it runs or leaks."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from odd_rows import ANOMALIES, DAY, INSTANCES, OWNERS, Odd
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from omgov_assets.access_control.governed_pages import PageQuestion
from omgov_assets.interface_service.formats.binaries import DoesNotFitError, made_anew, xlsx
from omgov_assets.interface_service.formats.formats import FORMATS

Row = dict[str, Any]
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def as_json(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case datetime():
            return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
        case date():
            return value.isoformat()
    return value


def as_text(value: Any) -> str:
    plain = as_json(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    text = ", ".join(map(str, plain)) if isinstance(plain, list) else str(plain)
    return f"'{text}" if text.startswith(FORMULAS) and not isinstance(plain, int | float) else text


def from_sheet(content: bytes) -> list[Row]:
    sheet = load_workbook(io.BytesIO(content)).active
    header, *rows = sheet.iter_rows(values_only=True)
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row), "a formula"
    # Control characters are written as _x000D_ and the like, which openpyxl leaves as it is.
    said = [[unescape(value) if isinstance(value, str) else value for value in row] for row in rows]
    return [dict(zip(header, (None if value == "" else value for value in row), strict=True)) for row in said]


def as_cell(value: Any) -> Any:
    plain = as_json(value)
    if isinstance(plain, int | float) and abs(plain) <= 2**53:
        return plain
    if isinstance(plain, float):
        return pytest.approx(plain, rel=1e-14)
    return as_text(plain) or None


@pytest.mark.parametrize("dataset", [INSTANCES, ANOMALIES, OWNERS])
@pytest.mark.parametrize("limit", ["1000", "all"])
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_format_read_back_is_what_the_door_gives(odd: Odd, dataset: str, limit: str, form: Any) -> None:
    steward = odd.door.principal("steward")
    table = odd.door.page(steward, dataset, PageQuestion(size=1000)).rows
    rows: list[Row] = table.to_pylist()
    media_type = form.media_type.partition(";")[0]
    answer = odd.client.get(f"/v1/datasets/{dataset}/rows?limit={limit}", headers={"Accept": media_type})
    assert (answer.status_code, answer.headers["content-type"]) == (200, form.media_type)
    content = answer.content
    match form.name:
        case "json":
            told = json.loads(content)
            assert told["rows"] == [{name: as_json(value) for name, value in row.items()} for row in rows]
            assert (told["dataset"], told["next"], told["version"]) == (dataset, None, odd.inside.lake.version(dataset))
        case "ndjson":
            told = [json.loads(line) for line in content.splitlines()]
            assert told == [{name: as_json(value) for name, value in row.items()} for row in rows]
        case "csv":
            assert content.startswith(b"\xef\xbb\xbf")
            told = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
            assert told == [{name: as_text(value) for name, value in row.items()} for row in rows]
            assert len(content.decode().split("\r\n")) > len(rows)
        case "xlsx":
            told = from_sheet(content)
            assert [list(row.values()) for row in told] == [[as_cell(value) for value in row.values()] for row in rows]
        case "arrow":
            assert pa.ipc.open_stream(content).read_all().equals(table.combine_chunks(), check_metadata=False) or (
                repr(pa.ipc.open_stream(content).read_all().to_pylist()) == repr(rows)
            )
        case "parquet":
            assert repr(pq.read_table(io.BytesIO(content)).to_pylist()) == repr(rows)
    assert b"13800000" not in content
    saved = answer.headers.get("content-disposition")
    assert (saved is None) == (form.name in ("json", "ndjson"))
    assert saved is None or saved == f'attachment; filename="omgov-{dataset.replace("/", "-")}{form.ending}"'


def test_what_lies_below_nulls_does_not_leave() -> None:
    def hidden(values: list[Any], kind: pa.DataType) -> pa.Array:
        whole = pa.array([*values, *values], kind)
        there = pa.py_buffer(np.packbits([True, False, True, True, False, True], bitorder="little").tobytes())
        return pa.Array.from_buffers(kind, 6, [there, *whole.buffers()[1:]])

    columns = {
        "text": hidden(["a", "13800000001", "c"], pa.string()),
        "number": hidden([1, 13800000001, 3], pa.int64()),
        "double": hidden([1.0, 13800000001.0, 3.0], pa.float64()),
        "time": hidden([1, 13800000001, 3], pa.timestamp("us", tz="UTC")),
        "day": hidden([1, 13800, 3], pa.date32()),
        "flag": hidden([True, True, False], pa.bool_()),
        "list": pa.array([["a"], None, ["b", None], [], None, ["c"]], pa.list_(pa.string())),
    }
    batch = pa.RecordBatch.from_pydict(columns)
    rows = batch.to_pylist()
    assert rows[1]["text"] is None
    new = pa.RecordBatch.from_pylist(rows, batch.schema)
    for given in (batch, batch.slice(1), batch.slice(2, 3), batch.slice(0, 0)):
        again = made_anew(given)
        assert again.equals(given)
        again.validate(full=True)
    written = [b"".join(form.pieces(source.slice(0).to_reader(), None)) for form in FORMATS if form.name == "arrow"
               for source in (pa.table(batch), pa.table(new))]  # fmt: skip
    assert written[0] == written[1]
    assert b"13800000001" not in written[0]
    assert (13800000001).to_bytes(8, "little") not in written[0]


@pytest.mark.parametrize("kind", ["text", "rows"])
def test_what_a_sheet_cannot_hold_is_told_and_not_cut(tmp_path: Any, kind: str, monkeypatch: Any) -> None:
    table = pa.table({"a": ["x" * 32_768 if kind == "text" else "x"] * 3})
    if kind == "rows":
        monkeypatch.setattr("omgov_assets.interface_service.formats.binaries._MOST_SHEET_ROWS", 3)
    with pytest.raises(DoesNotFitError, match="take CSV"):
        list(xlsx(table.to_reader(), tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_page_has_the_formats_that_a_client_takes(odd: Odd) -> None:
    def kind(accept: str, more: str = "") -> tuple[int, str]:
        answer = odd.client.get(f"/v1/datasets/{OWNERS}/rows?limit=1{more}", headers={"Accept": accept})
        return answer.status_code, answer.headers["content-type"].partition(";")[0]

    assert kind("*/*") == (200, "application/json")
    assert kind("text/html,application/xhtml+xml,*/*;q=0.8") == (200, "application/json")
    assert kind("text/csv;q=0.5, application/json;q=0.4") == (200, "text/csv")
    assert kind("text/*, application/json;q=0.9") == (200, "text/csv")
    assert kind("application/*;q=0.2, application/json;q=0, text/csv;q=0.1") == (200, "application/x-ndjson")
    assert kind("APPLICATION/JSON") == (200, "application/json")
    assert kind("nonsense, ;;, text/csv;q=2") == (406, "application/problem+json")
    assert kind("image/png", "&format=csv") == (200, "text/csv")
    assert kind("*/*;q=0") == (406, "application/problem+json")
    assert kind("text/csv", "&format=docx") == (400, "application/problem+json")
    refused = odd.client.get(f"/v1/datasets/{OWNERS}/rows", headers={"Accept": "image/png"})
    assert "text/csv" in refused.json()["detail"]


def test_what_is_known_is_not_sent_again(odd: Odd) -> None:
    path = f"/v1/datasets/{OWNERS}/rows?limit=2"
    first = odd.client.get(path)
    assert first.headers["cache-control"] == "private, no-cache"
    assert {"accept", "authorization"} <= {one.strip().lower() for one in first.headers["vary"].split(",")}
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = odd.client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert odd.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert odd.client.get(path, headers={"If-None-Match": tag, "Accept": "text/csv"}).status_code == 200
    assert DAY.isoformat() in first.text
