"""A file that cannot be used is refused as a whole, in one sentence, and harms nothing else. In every format."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_firm import COLUMNS, DAY, FORMATS, SYSTEM, SmallFirm, file_bytes, instance

from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
NAMES = COLUMNS[SYSTEM, DATASET]
TEXT_FORMATS = [name for name, transport in FORMATS.items() if transport["format"] in {"csv", "ndjson", "json"}]
REMEDIES = ("deliver", "publish a new contract version", "ask the business system", "declare")

each_format = pytest.mark.parametrize("delivers", FORMATS)


def sound_records() -> list[dict[str, object]]:
    # Quotation marks, commas and Chinese: what an encoding or a delimiter could break.
    return [instance(ci=ci, device=f'磁盘 "{ci}", 一号') for ci in ("H1", "H2", "H3")]


def sound_file(delivers: str) -> bytes:
    return file_bytes(FORMATS[delivers], NAMES, sound_records())


def refusal(firm: SmallFirm, content: bytes) -> dict[str, Any]:
    """Deliver bad metric instances beside sound definitions; the ledger entry, once all that must hold was checked."""
    firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": 60}])
    path = firm.deliver(SYSTEM, DATASET, content)
    collected = firm.collect()

    [definitions] = collected["metric_definitions"]
    assert (definitions["decision"], definitions["rows_admitted"]) == ("admitted", 1)
    assert len(firm.rows(f"{SYSTEM}/metric_definitions")) == 1

    [entry] = collected[DATASET]
    assert entry["decision"] == "refused"
    assert (entry["rows_admitted"], entry["rows_quarantined"]) == (0, 0)
    assert path.name in entry["reason"]
    assert "\n" not in entry["reason"]
    assert any(remedy in entry["reason"] for remedy in REMEDIES), entry["reason"]
    assert str(firm.settings.home) not in entry["reason"]
    assert firm.rows("admission/ledger", "dataset, decision, reason_code") == [
        ("metric_definitions", "admitted", None),
        (DATASET, "refused", entry["reason_code"]),
    ]
    assert firm.rows(f"{SYSTEM}/{DATASET}", day=None) == []
    assert firm.rows(f"{SYSTEM}/{DATASET}_quarantine", day=None) == []
    columns = "anomaly_type, dataset, subject_kind, subject_key, severity, observed, batch_id"
    assert firm.rows(VIOLATIONS, columns) == [
        ("refused_batch", DATASET, "batch", entry["batch_id"], "critical", entry["reason"], entry["batch_id"])
    ]
    return entry


@each_format
def test_a_sound_file_is_admitted_to_the_last_character(firm_of: Any, delivers: str) -> None:
    firm = firm_of(delivers)
    firm.deliver(SYSTEM, DATASET, sound_file(delivers))
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["rows_in"], entry["rows_admitted"]) == ("admitted", 3, 3)
    assert firm.rows(f"{SYSTEM}/{DATASET}", "_record_no, attributes, interval_s, sample_mean, last_seen_at::VARCHAR") == [
        (n, f'{{"device":"磁盘 \\"H{n}\\", 一号"}}', 60, 30.0, "2026-11-20 15:59:00+00") for n in (1, 2, 3)
    ]


@each_format
def test_a_truncated_file_is_refused(firm_of: Any, delivers: str) -> None:
    content = sound_file(delivers)
    kept = len(content) - 8 if delivers in TEXT_FORMATS else len(content) // 2
    entry = refusal(firm_of(delivers), content[:kept])
    assert entry["reason_code"] == ("truncated" if delivers in TEXT_FORMATS else "unreadable")


@pytest.mark.parametrize("kept", [1, 15, 16, 100, 1000, 4096, 8000])
def test_a_database_file_that_is_cut_off_anywhere_is_refused(firm_of: Any, kept: int) -> None:
    content = file_bytes(FORMATS["sqlite"], NAMES, [instance(ci=f"H{n}") for n in range(200)])
    assert len(content) > 8192
    assert refusal(firm_of("sqlite"), content[:kept])["reason_code"] in {"unreadable", "missing_table"}


def test_a_json_array_that_is_cut_off_behind_a_comma_is_refused(firm_of: Any) -> None:
    content = sound_file("json")
    cut = content[: content.rindex(b",\n") + 2]
    assert refusal(firm_of("json"), cut)["reason_code"] == "truncated"


@each_format
def test_a_file_of_another_encoding_is_refused(firm_of: Any, delivers: str) -> None:
    match delivers:
        case "csv" | "ndjson" | "json":
            content = sound_file(delivers).decode().encode("gbk")
        case "csv-gbk" | "csv-utf-16":
            content = sound_file("csv")
        case "parquet":
            content = sound_file(delivers).replace("磁盘".encode(), b"\xb4\xc5\xc5\xcc\xff\xff")
        case _:
            content = sound_file(delivers).replace("磁盘".encode(), b"\xb4\xc5\xc5\xcc\xff\xff")
    entry = refusal(firm_of(delivers), content)
    assert entry["reason_code"] == "wrong_encoding"
    if delivers in {"csv", "ndjson"}:
        assert f"line {2 if delivers == 'csv' else 1} " in entry["reason"]
    assert FORMATS[delivers].get("encoding", "utf-8").upper() in entry["reason"]


def test_ascii_is_gbk_and_utf_8_alike(firm_of: Any) -> None:
    firm = firm_of("csv-gbk")
    firm.deliver(SYSTEM, DATASET, file_bytes(FORMATS["csv"], NAMES, [instance()]))
    assert firm.collect(SYSTEM, DAY, DATASET)[DATASET][0]["decision"] == "admitted"


def test_utf_8_with_a_byte_order_mark_is_utf_8(firm_of: Any) -> None:
    for delivers in ("csv", "ndjson", "json"):
        firm = firm_of(delivers)
        firm.deliver(SYSTEM, DATASET, b"\xef\xbb\xbf" + sound_file(delivers), name=f"a.{delivers}")
        entries = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
        assert {entry["decision"] for entry in entries} == {"admitted"}


@each_format
def test_a_file_with_an_extra_column_is_refused(firm_of: Any, delivers: str) -> None:
    records = [{**record, "机房": "A"} for record in sound_records()]
    entry = refusal(firm_of(delivers), file_bytes(FORMATS[delivers], NAMES, records))
    assert entry["reason_code"] == "extra_column"
    assert "column 机房" in entry["reason"]


@each_format
def test_a_file_with_a_missing_column_is_refused(firm_of: Any, delivers: str) -> None:
    records = [{k: v for k, v in record.items() if k != "interval_s"} for record in sound_records()]
    names = [name for name in NAMES if name != "interval_s"]
    entry = refusal(firm_of(delivers), file_bytes(FORMATS[delivers], names, records))
    assert entry["reason_code"] == "missing_column"
    assert "column interval_s is missing" in entry["reason"]


@each_format
def test_a_renamed_column_is_refused_with_both_names(firm_of: Any, delivers: str) -> None:
    records = [{("interval" if k == "interval_s" else k): v for k, v in r.items()} for r in sound_records()]
    names = ["interval" if name == "interval_s" else name for name in NAMES]
    entry = refusal(firm_of(delivers), file_bytes(FORMATS[delivers], names, records))
    assert entry["reason_code"] == "missing_column"
    assert "column interval_s is missing (there is interval instead)" in entry["reason"]


@each_format
def test_a_file_with_a_retyped_column_is_refused(firm_of: Any, delivers: str) -> None:
    records = [{**record, "interval_s": "1 min"} for record in sound_records()]
    entry = refusal(firm_of(delivers), file_bytes(FORMATS[delivers], NAMES, records))
    assert entry["reason_code"] == "retyped_column"
    assert "column interval_s is" in entry["reason"]
    assert ("VARCHAR where the source contract says BIGINT" if delivers == "parquet" else "whole number") in entry["reason"]


def test_numbers_where_the_contract_says_text_are_a_retyped_column_in_json(firm_of: Any) -> None:
    records = [{**record, "collector": 7} for record in sound_records()]
    entry = refusal(firm_of("ndjson"), file_bytes(FORMATS["ndjson"], NAMES, records))
    assert entry["reason_code"] == "retyped_column"
    assert "column collector is nowhere text" in entry["reason"]


@each_format
def test_an_empty_file_is_refused(firm_of: Any, delivers: str) -> None:
    assert refusal(firm_of(delivers), b"")["reason_code"] == "empty_file"


@each_format
def test_a_file_without_records_is_refused(firm_of: Any, delivers: str) -> None:
    content = {"ndjson": b"\n", "json": b"[]\n"}.get(delivers) or file_bytes(FORMATS[delivers], NAMES, [])
    assert refusal(firm_of(delivers), content)["reason_code"] == (
        "unreadable" if delivers == "ndjson" else "no_records"
    )


@each_format
def test_a_file_of_another_format_is_refused(firm_of: Any, delivers: str) -> None:
    other = "<html><body>503 Service Unavailable</body></html>\n"
    content = other.encode("utf-16") if delivers == "csv-utf-16" else other.encode()
    assert refusal(firm_of(delivers), content)["reason_code"] in {"unreadable", "missing_column", "truncated"}


@each_format
def test_a_copy_of_yesterdays_file_is_refused(firm_of: Any, delivers: str) -> None:
    firm = firm_of(delivers)
    yesterday = DAY - timedelta(days=1)
    firm.deliver(SYSTEM, DATASET, sound_file(delivers), yesterday)
    firm.collect(SYSTEM, yesterday, DATASET)
    before = firm.rows(f"{SYSTEM}/{DATASET}", day=None)
    firm.deliver(SYSTEM, DATASET, sound_file(delivers), DAY)
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["reason_code"]) == ("refused", "repeated_delivery")
    assert f"byte for byte the delivery of {yesterday}" in entry["reason"]
    assert f"data of {DAY} was expected; ask the business system" in entry["reason"]
    assert firm.rows(f"{SYSTEM}/{DATASET}", day=None) == before
    assert firm.rows(VIOLATIONS, "anomaly_type, subject_key") == [("refused_batch", entry["batch_id"])]
    assert firm.collect(SYSTEM, DAY, DATASET)[DATASET] == [entry]


@each_format
def test_nothing_delivered_is_a_violation_until_something_comes(firm_of: Any, delivers: str) -> None:
    firm = firm_of(delivers)
    assert firm.collect(SYSTEM, DAY, DATASET) == {DATASET: []}
    assert firm.rows(VIOLATIONS, "anomaly_type, quality_dimension, subject_kind, subject_key, batch_id") == [
        ("not_delivered", "timeliness", "dataset", DATASET, None)
    ]
    firm.deliver(SYSTEM, DATASET, sound_file(delivers))
    firm.collect(SYSTEM, DAY, DATASET)
    assert firm.rows(VIOLATIONS) == []
    assert len(firm.rows(f"{SYSTEM}/{DATASET}")) == 3


def test_a_quote_that_is_never_closed_swallows_no_record(firm_of: Any) -> None:
    content = sound_file("csv").replace(b'"\xe7', b'"\xe7', 1)
    lines = content.decode().splitlines()
    lines[1] = lines[1].replace('cpu', '"cpu', 1)
    entry = refusal(firm_of("csv"), ("\n".join(lines) + "\n").encode())
    assert entry["reason_code"] in {"line_count_mismatch", "unreadable"}


def test_a_value_that_runs_over_a_line_end_is_refused_with_the_count(firm_of: Any) -> None:
    content = file_bytes(FORMATS["csv"], NAMES, [instance(device="a\nb"), instance(ci="H2"), instance(ci="H3")])
    entry = refusal(firm_of("csv"), content)
    assert entry["reason_code"] in {"line_count_mismatch", "unreadable"}


def test_a_column_that_stands_twice_is_refused(firm_of: Any) -> None:
    lines = sound_file("csv").decode().splitlines()
    content = "\n".join(f"{line},{'unit' if n == 0 else '%'}" for n, line in enumerate(lines)) + "\n"
    assert refusal(firm_of("csv"), content.encode())["reason_code"] == "duplicate_column"


def test_a_required_column_without_any_value_is_refused(firm_of: Any) -> None:
    for delivers in FORMATS:
        if delivers == "parquet":  # nothing to tell an empty text column from a retyped one by
            continue
        firm = firm_of(delivers).at(firm_of(delivers).settings.home / delivers)
        content = file_bytes(FORMATS[delivers], NAMES, [instance(metric=None), instance(metric=None, ci="H2")])
        entry = refusal(firm, content)
        assert entry["reason_code"] == "empty_column"
        assert "column metric is required but empty in all records" in entry["reason"]


def test_a_database_without_the_declared_table_is_refused(firm_of: Any) -> None:
    content = file_bytes({"format": "sqlite", "table": "other"}, NAMES, sound_records())
    entry = refusal(firm_of("sqlite"), content)
    assert entry["reason_code"] == "missing_table"
    assert "no table 'exported', which defs.yaml names" in entry["reason"]


@pytest.mark.parametrize("name", ["a #1.db", "50%25.db", "日报?.db", "a[1]*.db", "it's.db"])
def test_a_file_name_may_hold_any_character(firm_of: Any, name: str) -> None:
    for delivers in ("sqlite", "parquet", "json", "csv"):
        firm = firm_of(delivers).at(firm_of(delivers).settings.home / delivers)
        firm.deliver(SYSTEM, DATASET, sound_file(delivers), name=name)
        # A pattern for the odd name would find this file as well.
        firm.deliver(SYSTEM, DATASET, file_bytes(FORMATS[delivers], NAMES, [instance(ci="H9")]), name="a1z.db")
        entries = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
        assert sorted((entry["decision"], entry["rows_in"]) for entry in entries) == [("admitted", 1), ("admitted", 3)]


def test_text_behind_a_thousand_nulls_is_still_text(firm_of: Any) -> None:
    firm = firm_of("sqlite")
    records = [instance(ci=f"H{n}", device="sda" if n == 3000 else None) for n in range(1, 3001)]
    firm.deliver(SYSTEM, DATASET, records)
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["rows_admitted"]) == ("admitted", 3000)
    [(record_no,)] = firm.rows(f"{SYSTEM}/{DATASET}", "_record_no FILTER (WHERE attributes <> '{}')".split(" FILTER")[0])[-1:]
    assert record_no == 3000


def test_a_value_that_is_graded_high_does_not_stand_in_the_refusal(tmp_path: Path, firm: SmallFirm) -> None:
    contract = firm.settings.project / "governance" / "systems" / SYSTEM / "metric_definitions.odcs.yaml"
    text = contract.read_text()
    phone = "physicalType: BIGINT"
    for grade, shown in (("3", "'1***'"), ("1", "'139 0000 1111'")):
        contract.write_text(text.replace(phone, f"{phone}\n        classification: '{grade}'"))
        firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": "139 0000 1111"}])
        [entry] = firm.at(tmp_path / grade).collect(SYSTEM, DAY, "metric_definitions")["metric_definitions"] or [{}]
        del entry
        [entry] = firm.collect(SYSTEM, DAY, "metric_definitions")["metric_definitions"]
        assert entry["reason_code"] == "retyped_column"
        assert f"(e.g. {shown})" in entry["reason"]


def test_the_database_file_is_left_as_it_was(firm_of: Any) -> None:
    firm = firm_of("sqlite")
    path = firm.deliver(SYSTEM, DATASET, sound_records())
    before = path.read_bytes()
    firm.collect(SYSTEM, DAY, DATASET)
    assert path.read_bytes() == before
    assert sorted(found.name for found in path.parent.iterdir()) == [path.name]
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    con.close()
    assert pa is not None
