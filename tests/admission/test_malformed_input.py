"""Files that a reader could misread in silence: what each record becomes, or why the file is refused.

Random damage finds such files (``test_byte_damage``); here each has a name.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_firm import COLUMNS, FORMATS, SYSTEM, FirmOf, file_bytes

from omgov_assets.admission import delivered_text
from omgov_assets.admission.deliveries import read_delivery
from omgov_assets.admission.refusal import RefusedBatchError

NAMES = COLUMNS[SYSTEM, "metric_definitions"]
HEADER = "metric,unit,interval_s\n"
OBJECT = '{"metric": "a", "unit": "%", "interval_s": 1}'

# Values by record number; code and text by record number of what is malformed; or the code of the refusal.
Outcome = tuple[dict[int, tuple[Any, ...]], dict[int, tuple[str, str]]] | str
Read = Callable[..., Outcome]


@pytest.fixture
def read(firm_of: FirmOf, tmp_path: Path) -> Read:
    """Reads a file of metric definitions in a format, perhaps with another transport."""

    def read_file(delivers: str, content: bytes | str, **transport: str) -> Outcome:
        dataset = firm_of(delivers).governance.systems[SYSTEM].datasets["metric_definitions"]
        changed = dataset.transport.model_copy(update=transport)
        path = tmp_path / "a file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        with duckdb.connect() as con:
            try:
                delivery = read_delivery(con, path, dataset.model_copy(update={"transport": changed}))
            except RefusedBatchError as refusal:
                return refusal.code
            values = {
                n: tuple(v)
                for n, *v in con.execute("SELECT _record_no, * EXCLUDE (_record_no) FROM delivery").fetchall()
            }
        malformed = {n: (code, text) for n, code, _, text in delivery.malformed}
        assert sorted([*values, *malformed]) == list(range(1, delivery.rows_in + 1))
        return values, malformed

    return read_file


SOUND = ("a", "%", "1")


@pytest.mark.parametrize(
    ("lines", "values", "malformed"),
    [
        ("a,%,1\r\na,%,1\na,%,1\r\n", {1: SOUND, 2: SOUND, 3: SOUND}, {}),
        ("\na,%,1\n\n", {1: (None,) * 3, 2: SOUND, 3: (None,) * 3}, {}),
        ("a\0b,%,1\n\0\0\n", {1: ("a\0b", "%", "1")}, {2: ("ragged_record", "\0\0")}),
        ("a\u2028b,%,1\nc\x85d,\x0b,\x0c\n", {1: ("a\u2028b", "%", "1"), 2: ("c\x85d", "\x0b", "\x0c")}, {}),
        ("a,%,1,\na,%,1\n", {2: SOUND}, {1: ("ragged_record", "a,%,1,")}),
        ('21" rack,%,1\na,%,1\n', {1: ('21" rack', "%", "1"), 2: SOUND}, {}),
        ('"a\rb",%,1\na,%,1\n', {1: ("a\rb", "%", "1"), 2: SOUND}, {}),
        # A byte that is lost between doubled quotes changes the text: the record is not read as something else.
        ('"a "b"" c",%,1\na,%,1\n', {2: SOUND}, {1: ("broken_quotes", '"a "b"" c",%,1')}),
        ('a,%,1\n"x"y,%,1\n', {1: SOUND}, {2: ("broken_quotes", '"x"y,%,1')}),
        ('"x"y,%\na,%,1\n', {2: SOUND}, {1: ("broken_quotes", '"x"y,%')}),
        ("NULL,NA,nan\n", {1: ("NULL", "NA", "nan")}, {}),
        ("\\,%,1\n", {1: ("\\", "%", "1")}, {}),
        ("a,%,1\n\x1a,,\n", {1: SOUND, 2: ("\x1a", None, None)}, {}),
        ("metric,unit,interval_s\n\ufeffa,%,1\n", {1: ("metric", "unit", "interval_s"), 2: ("\ufeffa", "%", "1")}, {}),
    ],
)  # fmt: skip
def test_each_line_of_csv_is_a_record(
    read: Read, lines: str, values: dict[int, Any], malformed: dict[int, Any]
) -> None:
    for delivers in ("csv", "csv-utf-16"):
        content = (HEADER + lines).encode(FORMATS[delivers].get("encoding", "utf-8"))
        assert read(delivers, content) == (values, malformed)


@pytest.mark.parametrize("block_bytes", [7, 10, 64])
def test_a_byte_order_mark_within_a_file_is_a_character_wherever_a_block_begins(
    read: Read, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(delivered_text, "BLOCK_BYTES", block_bytes)
    content = "\ufeff" + HEADER + "\ufeffa,%,1\n磁盘,%,1\n" * 9
    values, malformed = read("csv", content)
    assert not malformed
    assert [values[n][0] for n in sorted(values)] == ["\ufeffa", "磁盘"] * 9


@pytest.mark.parametrize(
    "lines",
    [
        'a,%,1\n"a,%,1\na,%,1\n',
        'a,%,1\na,%,"1\n',
        '"a,%,1\na,%,1\n"a,%,1\n',
        # As many lines as records, since a carriage return makes two of one.
        '"a\nb",%,1\nc\rd,%,1\n',
        "a\rb,%,1\na,%,1\n",
        "a,%,1\ra,%,1\n",
    ],
)
@pytest.mark.parametrize("delivers", ["csv", "csv-gbk", "csv-utf-16"])
def test_lines_that_may_not_be_records_are_refused(read: Read, delivers: str, lines: str) -> None:
    content = (HEADER + lines).encode(FORMATS[delivers].get("encoding", "utf-8"))
    assert read(delivers, content) == "line_count_mismatch"
    allowed = read(delivers, content, line_ends_in_values="allowed")
    assert allowed == "record_count_mismatch" or isinstance(allowed, tuple)


def test_where_values_may_run_over_lines_a_record_ends_with_its_quotes(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = HEADER + '"a\nb ""c""\n",%,1\na,%,1\n"a\n""\nb",%,"1"\n"x"y,%,1\n'
    for block_bytes in (3, 16, 1 << 20):
        monkeypatch.setattr(delivered_text, "BLOCK_BYTES", block_bytes)
        values = {1: ('a\nb "c"\n', "%", "1"), 2: SOUND, 3: ('a\n"\nb', "%", "1")}
        malformed = {4: ("broken_quotes", '"x"y,%,1')}
        assert read("csv", content, line_ends_in_values="allowed") == (values, malformed)
        for damaged in (content + '"a,%,1\na,%,1\n', content.replace('b ""', 'b "')):
            assert read("csv", damaged, line_ends_in_values="allowed") == "record_count_mismatch"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (HEADER, "no_records"),
        (HEADER[:-1], "truncated"),
        ("\n" + HEADER + "a,%,1\n", "missing_column"),
        ("metric,unit,unit\na,%,1\n", "duplicate_column"),
        ("metric,unit,interval_s,\na,%,1,\n", "extra_column"),
        ('metric,unit,"interval_s\na,%,1\n', "line_count_mismatch"),
        ("\ufeff\ufeff" + HEADER + "a,%,1\n", "missing_column"),
        ((HEADER + "a,%,1\n").replace("\n", "\r"), "truncated"),
    ],
)  # fmt: skip
def test_a_header_that_is_not_the_contracts_refuses_the_file(read: Read, content: str, code: str) -> None:
    assert read("csv", content) == code


@pytest.mark.parametrize("quoted", ['"metric","unit","interval_s"\n', "interval_s,metric,unit\n", "\ufeff" + HEADER])
def test_a_header_may_be_quoted_and_in_another_order(read: Read, quoted: str) -> None:
    line = "1,a,%\n" if quoted.startswith("interval") else "a,%,1\n"
    assert read("csv", quoted + line) == ({1: SOUND}, {})


@pytest.mark.parametrize(
    ("delivers", "content", "line"),
    [
        ("csv", HEADER.encode() + "磁,%,1\n".encode() + "磁,%,1\n".encode("gbk"), 3),
        ("csv", HEADER.encode() + b"\xff\n" + b"a,%,1\n", 2),
        ("csv-gbk", HEADER.encode() + "磁,%,1\n".encode("gbk") + b"\xb4\na,%,1\n", 3),
        ("csv-utf-16", (HEADER + "a,%,1\n").encode("utf-16") + b"\x00\xd8" + "a,%,1\n".encode("utf-16-le"), 3),
        ("ndjson", f"{OBJECT}\n".encode() + b"\xff\x01\n", 2),
    ],
)
@pytest.mark.parametrize("block_bytes", [2, 9, 1 << 20])
def test_the_line_of_another_encoding_is_told(
    firm_of: FirmOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delivers: str,
    content: bytes,
    line: int,
    block_bytes: int,
) -> None:
    monkeypatch.setattr(delivered_text, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "a"
    path.write_bytes(content)
    dataset = firm_of(delivers).governance.systems[SYSTEM].datasets["metric_definitions"]
    with duckdb.connect() as con, pytest.raises(RefusedBatchError) as refused:
        read_delivery(con, path, dataset)
    assert refused.value.code == "wrong_encoding"
    assert f"line {line} holds the bytes" in refused.value.sentence


def test_utf_16_must_end_with_a_line_end_of_its_own_byte_order(read: Read) -> None:
    # U+0A00 has the bytes of a line end, the other way round.
    assert read("csv-utf-16", (HEADER + "a,%,1\nx\u0a00").encode("utf-16")) == "truncated"


J = ('"a"', '"%"', "1")


@pytest.mark.parametrize(
    ("lines", "values", "malformed"),
    [
        (f"{OBJECT}\r\n{OBJECT}\n", {1: J, 2: J}, {}),
        # JSON allows a carriage return between values: it ends no line.
        (f"{OBJECT[:1]}\r{OBJECT[1:]}\n{OBJECT}\n", {1: J, 2: J}, {}),
        (f"{OBJECT}\r{OBJECT}\n{OBJECT}\n", {2: J}, {1: f"{OBJECT}\r{OBJECT}"}),
        (f"{OBJECT}\0\n{OBJECT}\n\x01\n", {2: J}, {1: f"{OBJECT}\0", 3: "\x01"}),
        (f"{OBJECT}\n\ufeff{OBJECT}\n", {1: J}, {2: f"\ufeff{OBJECT}"}),
        (f"{OBJECT},\n{OBJECT}{OBJECT}\n{OBJECT}\n", {3: J}, {1: f"{OBJECT},", 2: OBJECT * 2}),
        (f'{OBJECT}\n{{"metric": "\\ud800"}}\n', {1: J}, {2: '{"metric": "\\ud800"}'}),
    ],
)
def test_each_line_of_ndjson_is_a_record(
    read: Read, lines: str, values: dict[int, Any], malformed: dict[int, str]
) -> None:
    expected = {n: ("broken_json", text) for n, text in malformed.items()}
    assert read("ndjson", lines) == (values, expected)


def test_bytes_that_an_error_message_cannot_quote_refuse_the_file(read: Read) -> None:
    outcome = read("json", b"\xdb" + OBJECT.encode() + b"]\n")
    assert outcome in ("unreadable", "wrong_encoding")


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (f"[{OBJECT}] x]\n", "unreadable"),
        (f"[{OBJECT}][{OBJECT}]\n", "unreadable"),
        (f"[{OBJECT}]]\n", "unreadable"),
        (f"[{OBJECT} {OBJECT}]\n", "unreadable"),
        (f"[{OBJECT},,{OBJECT}]\n", "unreadable"),
        (f"[{OBJECT}\n{OBJECT}]\n", "unreadable"),
        (f"{OBJECT}\n{OBJECT}\n]\n", "unreadable"),
        ("[]\n", "no_records"),
        (f"[[{OBJECT}]]\n", "unreadable"),
        (f'[{OBJECT}, 1, "x", null, [{OBJECT}]]\n', {2: "1", 3: '"x"', 4: "null", 5: f"[{OBJECT}]"}),
    ],
)
def test_a_json_array_is_one_array_of_objects(read: Read, text: str, outcome: str | dict[int, str]) -> None:
    if isinstance(outcome, dict):
        assert read("json", text) == ({1: J}, {n: ("broken_json", element) for n, element in outcome.items()})
    else:
        assert read("json", text) == outcome


@pytest.mark.parametrize("delivers", ["ndjson", "json"])
def test_no_number_of_json_is_rounded_in_silence(read: Read, delivers: str) -> None:
    numbers = ["9007199254740993", "18446744073709551616", "123456789012345678901234567890", "1e400", "NaN"]
    texts = [f'{{"metric": "a", "unit": null, "interval_s": {number}}}' for number in numbers]
    values, _ = read(delivers, "\n".join(texts) + "\n" if delivers == "ndjson" else f"[{','.join(texts)}]\n")
    assert [values[n][2] for n in sorted(values)] == numbers


def database(*statements: str) -> bytes:
    with sqlite3.connect(":memory:", isolation_level=None) as con:
        for statement in statements:
            con.execute(statement)
        return con.serialize()


TABLE = "CREATE TABLE exported (metric, unit, interval_s)"
ROWS = "INSERT INTO exported VALUES ('b', '%', 2), ('a', '%', 1)"
B = ("b", "%", "2")


@pytest.mark.parametrize(
    ("statements", "outcome"),
    [
        ((TABLE, ROWS), {1: B, 2: SOUND}),
        (("CREATE TABLE exported (metric PRIMARY KEY, unit, interval_s) WITHOUT ROWID", ROWS), {1: SOUND, 2: B}),
        (("CREATE TABLE t (metric, unit, interval_s)", "CREATE VIEW exported AS SELECT * FROM t"), "not_a_table"),
        (("CREATE TABLE exported (metric, unit, interval_s AS (1))",), "not_a_table"),
        (("CREATE VIRTUAL TABLE exported USING fts5(metric, unit, interval_s)",), "not_a_table"),
        (("CREATE TABLE exported (metric, unit, interval_s, rowid)",), "extra_column"),
        ((TABLE, "PRAGMA encoding = 'UTF-16le'", ROWS), {1: B, 2: SOUND}),
        ((TABLE, "INSERT INTO exported VALUES (CAST(x'ff' AS TEXT), '%', 1)"), "wrong_encoding"),
        ((TABLE, "INSERT INTO exported VALUES ('a' || char(0), 1.5, 1)"), {1: ("a\0", "1.5", "1")}),
    ],
)  # fmt: skip
def test_a_database_gives_its_stored_rows_in_order(
    read: Read, statements: tuple[str, ...], outcome: dict[int, Any] | str
) -> None:
    found = read("sqlite", database(*statements))
    assert found == (outcome if isinstance(outcome, str) else (outcome, {}))


def test_bytes_in_a_database_are_not_taken_for_text(read: Read) -> None:
    content = database(TABLE, ROWS, "INSERT INTO exported VALUES (x'61', '%', x'ff00')")
    values, malformed = read("sqlite", content)
    assert values == {1: B, 2: SOUND}
    assert malformed == {3: ("binary_value", json.dumps({"metric": "61", "unit": "%", "interval_s": "FF00"}))}


def test_an_index_that_lacks_rows_does_not_stand_in_for_the_table(read: Read) -> None:
    content = database(TABLE, "CREATE UNIQUE INDEX i ON exported (metric, unit, interval_s)", ROWS)
    assert read("sqlite", content) == ({1: B, 2: SOUND}, {})


def test_a_damaged_page_that_hides_rows_is_found(read: Read) -> None:
    content = bytearray(database(TABLE, ROWS, "INSERT INTO exported VALUES ('c', '%', 3)"))
    page = content.index(b"\x0d\x00\x00\x00\x03", 4096)  # a leaf with three rows
    content[page + 4] = 2
    assert read("sqlite", bytes(content)) == "unreadable"


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_database_with_a_journal_beside_it_is_not_finished(read: Read, tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a file{ending}").write_bytes(b"x")
    assert read("sqlite", database(TABLE, ROWS)) == "unfinished_database"
    (tmp_path / f"a file{ending}").write_bytes(b"")
    assert read("sqlite", database(TABLE, ROWS)) == ({1: B, 2: SOUND}, {})


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda content: content[:16] + b"\0\0" + content[18:], "unreadable"),  # pages of no bytes
        (lambda content: content[:16] + b"\x10\x01" + content[18:], "unreadable"),
        (lambda content: content.replace(b"metric,", b"metri\xa7,"), "wrong_encoding"),
    ],
)
def test_a_database_with_an_impossible_header_is_refused(
    read: Read, damage: Callable[[bytes], bytes], code: str
) -> None:
    assert read("sqlite", damage(database(TABLE, ROWS))) == code


def parquet(**columns: pa.Array) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"metric": ["a"], "unit": ["%"], "interval_s": [1], **columns}), target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (parquet(), ({1: ("a", "%", 1)}, {})),
        (parquet() * 2, "unreadable"),  # the last one alone would be read
        (parquet() + b"x", "unreadable"),
        (b"x" + parquet(), "unreadable"),
        (parquet()[:-4] + b"PARE", "unreadable"),
        (b"PAR1PAR1", "unreadable"),
        (parquet(metric=pa.array([["a"]])), "retyped_column"),
        (parquet(metric=pa.array([{"a": 1}])), "retyped_column"),
        (parquet(metric=pa.array([b"a"])), "retyped_column"),
        (parquet(interval_s=pa.array([1]).cast(pa.decimal128(20, 0))), "retyped_column"),
        (parquet(file_row_number=pa.array([1])), "extra_column"),
        (parquet(Metric=pa.array(["a"])), "extra_column"),
    ],
)
def test_parquet_is_one_whole_file_of_plain_columns(read: Read, content: bytes, outcome: Outcome) -> None:
    assert read("parquet", content) == outcome


def test_a_column_of_parquet_that_stands_twice_is_told_as_that(read: Read) -> None:
    target = io.BytesIO()
    columns = [pa.array(["a"]), pa.array(["%"]), pa.array(["%"]), pa.array([1])]
    pq.write_table(pa.table(columns, names=["metric", "unit", "unit", "interval_s"]), target)
    assert read("parquet", target.getvalue()) == "duplicate_column"


@pytest.mark.parametrize("delivers", FORMATS)
def test_one_record_is_read_in_every_format(read: Read, delivers: str) -> None:
    values, malformed = read(
        delivers, file_bytes(FORMATS[delivers], NAMES, [{"metric": "a", "unit": "%", "interval_s": 1}])
    )
    assert ([str(value).strip('"') for value in values[1]], malformed) == (["a", "%", "1"], {})
