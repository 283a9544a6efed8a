"""Every record of a delivery is admitted or quarantined, under its own number and for its own reason."""

from __future__ import annotations

import io
import json
import random
from datetime import date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_firm import COLUMNS, DAY, FORMATS, SYSTEM, FirmOf, SmallFirm, file_bytes, instance

from omgov_assets.admission import delivered_text
from omgov_assets.admission.contract_check import conversion
from omgov_assets.model_management.contracts import ContractColumn
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
NAMES = COLUMNS[SYSTEM, DATASET]


def admit(firm: SmallFirm, content: bytes | list[dict[str, object]]) -> dict[str, Any]:
    """Take a file of instances through the gate; check that each of its records is in exactly one table."""
    firm.deliver(SYSTEM, DATASET, content)
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    admitted = firm.rows(TABLE, "_batch_id, _record_no")
    quarantined = firm.rows(f"{TABLE}_quarantine", "_batch_id, _record_no")
    expected = [(entry["batch_id"], number) for number in range(1, entry["rows_in"] + 1)]
    assert sorted(admitted + quarantined) == expected
    assert (entry["rows_admitted"], entry["rows_quarantined"]) == (len(admitted), len(quarantined))
    return entry


def quarantine(firm: SmallFirm) -> dict[int, tuple[list[str], str, str]]:
    """Reason codes, sentence and payload by record number."""
    return {n: (codes, reason, payload) for n, codes, reason, payload in
            firm.rows(f"{TABLE}_quarantine", "_record_no, reasons, reason, payload")}  # fmt: skip


def admitted_hosts(firm: SmallFirm) -> dict[int, str]:
    return dict(firm.rows(TABLE, "_record_no, ci_id"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("delivers", ["csv", "csv-gbk", "csv-utf-16"])
def test_ragged_rows_keep_their_numbers_across_blocks(
    firm_of: FirmOf, monkeypatch: pytest.MonkeyPatch, delivers: str, seed: int
) -> None:
    draw = random.Random(seed)  # noqa: S311 - a test's choice
    monkeypatch.setattr(delivered_text, "BLOCK_BYTES", draw.choice([250, 400, 1000]))
    lines = file_bytes(FORMATS["csv"], NAMES, [instance(ci=f"主机{n}") for n in range(1, 61)]).decode().splitlines()
    # In the middle, in rows, as first and as last; too short, too long, and empty.
    bad = sorted({1, 60, *draw.sample(range(2, 60), 12), 30, 31, 32})
    for number in bad:
        lines[number] = draw.choice(["", f"cpu,主机{number}", lines[number] + ",more,磁盘"])
    firm = firm_of(delivers)
    entry = admit(firm, ("\n".join(lines) + "\n").encode(FORMATS[delivers].get("encoding", "utf-8")))
    assert (entry["decision"], entry["rows_in"]) == ("partial", 60)
    assert admitted_hosts(firm) == {n: f"主机{n}" for n in range(1, 61) if n not in bad}
    held = quarantine(firm)
    assert sorted(held) == bad
    for number, (codes, reason, payload) in held.items():
        if lines[number]:
            assert codes == ["ragged_record"]
            assert reason == f"{lines[number].count(',') + 1} fields where the header has 13"
            assert payload == lines[number]
        else:  # an empty line is a record of nothing
            assert codes == ["required_missing:ci", "required_missing:metric"]
            assert json.loads(payload) == dict.fromkeys(NAMES)


@pytest.mark.parametrize("block_bytes", [600, 1500, 8 << 20])
def test_broken_lines_of_ndjson_keep_their_numbers_across_blocks(
    firm_of: FirmOf, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(delivered_text, "BLOCK_BYTES", block_bytes)
    lines = [json.dumps(instance(ci=f"H{n}")) for n in range(1, 41)]
    broken = {
        1: lines[0][:40],
        7: "",
        8: "[1, 2]",
        20: "null",
        21: lines[20] + lines[20],
        22: '{"metric": "a\x01b"}',
        40: "}",
    }
    for number, text in broken.items():
        lines[number - 1] = text
    firm = firm_of("ndjson")
    entry = admit(firm, ("\n".join(lines) + "\n").encode())
    assert entry["rows_in"] == 40
    assert admitted_hosts(firm) == {n: f"H{n}" for n in range(1, 41) if n not in broken}
    assert {n: (codes, payload) for n, (codes, _, payload) in quarantine(firm).items()} == {
        number: (["broken_json"], text) for number, text in broken.items()
    }


@pytest.mark.parametrize("delivers", ["ndjson", "json"])
def test_a_record_with_odd_keys_is_quarantined_as_delivered(firm_of: FirmOf, delivers: str) -> None:
    records = [json.dumps(instance(ci=f"H{n}"), ensure_ascii=False) for n in range(1, 7)]
    records[1] = records[1][:-1] + ', "机房": "A座"}'
    records[2] = records[2][:-1] + ', "ci": "H9"}'
    records[3] = "{}"
    records[4] = json.dumps({k: v for k, v in instance(ci="H5").items() if k not in ("device", "collector")})
    text = "\n".join(records) if delivers == "ndjson" else "[" + ",\n".join(records) + "]"
    firm = firm_of(delivers)
    admit(firm, (text + "\n").encode())
    # A key that is absent is a null, as long as the contract does not require it.
    assert admitted_hosts(firm) == {1: "H1", 5: "H5", 6: "H6"}
    held = quarantine(firm)
    assert held[2] == (["unexpected_key"], "keys outside the contract: 机房", records[1])
    assert held[3] == (["duplicate_key"], "keys stand twice: ci", records[2])
    codes, reason, payload = held[4]
    assert codes == ["required_missing:ci", "required_missing:metric"]
    assert reason == "metric is required but empty; ci is required but empty"
    assert set(json.loads(payload).values()) == {None}


def test_a_key_may_hold_any_character(firm: SmallFirm) -> None:
    odd = {"unit": '单位 "u"', "device": "a.b[0]*", "collector": "c'; DROP TABLE x --\\"}
    folder = firm.settings.project / "governance" / "systems" / SYSTEM
    contract = folder / f"{DATASET}.odcs.yaml"
    text = contract.read_text()
    for name, key in odd.items():
        text = text.replace(f"- name: {name}\n", f"- name: {name}\n        physicalName: {json.dumps(key)}\n")
    contract.write_text(text)
    defs = folder / "defs.yaml"
    defs.write_text(defs.read_text().replace("format: csv", "format: ndjson"))
    records = [{odd.get(k, k): v for k, v in instance(ci=ci, device="sda").items()} for ci in ("H1", "H2")]
    firm.deliver(SYSTEM, DATASET, file_bytes(FORMATS["ndjson"], NAMES, records))
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert entry["decision"] == "admitted", entry["reason"]
    assert firm.rows(TABLE, "ci_id, source_unit, attributes, collector") == [
        (ci, "%", '{"device":"sda"}', "K1") for ci in ("H1", "H2")
    ]


@pytest.mark.parametrize("delivers", FORMATS)
def test_a_record_without_a_required_value_is_quarantined(firm_of: FirmOf, delivers: str) -> None:
    firm = firm_of(delivers)
    entry = admit(firm, [instance(ci="H1"), instance(ci=None), instance(metric=""), instance(ci="H4", unit=None)])
    assert entry["decision"] == "partial"
    assert admitted_hosts(firm) == {1: "H1", 4: "H4"}
    held = quarantine(firm)
    assert held[2][:2] == (["required_missing:ci"], "ci is required but empty")
    assert held[3][:2] == (["required_missing:metric"], "metric is required but empty")
    assert json.loads(held[2][2])["metric"] == "cpu"
    columns = "anomaly_type, subject_kind, subject_key, batch_id, record_no, observed"
    assert firm.rows(VIOLATIONS, columns) == [
        (
            "refused_record",
            "row",
            f"{entry['batch_id']}:{n}",
            entry["batch_id"],
            n,
            f"required_missing:{column}",
        )
        for n, column in ((2, "ci"), (3, "metric"))
    ]


@pytest.mark.parametrize("delivers", [name for name in FORMATS if name != "parquet"])
def test_a_value_that_does_not_fit_its_type_quarantines_its_record(firm_of: FirmOf, delivers: str) -> None:
    firm = firm_of(delivers)
    records = [
        instance(ci="H1"),
        instance(ci="H2", interval_s=1.7),
        instance(ci="H3", sample_min="1_000"),
        instance(ci="H4", last_seen="2026-11-20T10:00:00+08:00"),
        instance(ci="H5", interval_s="sixty", last_seen="yesterday"),
    ]
    entry = admit(firm, records)
    assert admitted_hosts(firm) == {1: "H1"}
    held = quarantine(firm)
    assert held[2][:2] == (["not_convertible:interval_s"], "interval_s is not a whole number")
    assert held[3][:2] == (["not_convertible:sample_min"], "sample_min is not a number")
    assert held[4][:2] == (["not_convertible:last_seen"], "last_seen is not a local time without offset")
    assert held[5][0] == ["not_convertible:interval_s", "not_convertible:last_seen"]
    assert json.loads(entry["quarantine_reasons"]) == {
        "not_convertible:interval_s": 2, "not_convertible:last_seen": 2, "not_convertible:sample_min": 1
    }  # fmt: skip
    if delivers != "sqlite" and not delivers.startswith("csv"):
        assert json.loads(held[2][2]) == instance(ci="H2", interval_s=1.7)


def convert(value: str | None, sql_type: str, kind: Any, timestamp_format: str | None = None) -> Any:
    properties = [{"property": "timestampFormat", "value": timestamp_format}] if timestamp_format else []
    column = ContractColumn(name="x", physicalType=sql_type, customProperties=properties)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"CREATE TABLE t (x {'JSON' if kind == 'json' else 'VARCHAR'})")
        con.execute("INSERT INTO t VALUES (?)", [value])
        [(converted,)] = con.execute(f"SELECT {conversion(column, kind)} FROM t").fetchall()
        return converted


@pytest.mark.parametrize(
    ("text", "sql_type", "converted"),
    [
        ("60", "BIGINT", 60),
        ("-9223372036854775808", "BIGINT", -(2**63)),
        ("1.5e3", "DOUBLE", 1500.0),
        ("-0.1", "DOUBLE", -0.1),
        ("TRUE", "BOOLEAN", True),
        ("0", "BOOLEAN", False),
        ("2026-11-20", "DATE", date(2026, 11, 20)),
        ("2026-11-20 10:00:00", "TIMESTAMP", datetime(2026, 11, 20, 10)),
        ("2026-11-20T10:00", "TIMESTAMP", datetime(2026, 11, 20, 10)),
        ("2026-11-20 10:00:00.250000000", "TIMESTAMP", datetime(2026, 11, 20, 10, microsecond=250_000)),
        (" as delivered ", "VARCHAR", " as delivered "),
        (None, "BIGINT", None),
    ],
)
def test_a_text_is_converted_where_nothing_is_lost(text: str | None, sql_type: str, converted: Any) -> None:
    assert convert(text, sql_type, "text") == converted


@pytest.mark.parametrize("text", ["2026-11-20T10:00:00+08:00", "2026-11-20 10:00+08", "2026-11-20T02:00:00Z"])
def test_a_time_with_offset_is_the_same_moment_however_written(text: str) -> None:
    assert (
        convert(text, "TIMESTAMPTZ", "text").timestamp() == datetime.fromisoformat("2026-11-20T02:00:00Z").timestamp()
    )


@pytest.mark.parametrize(
    ("text", "sql_type"),
    [
        ("1.7", "BIGINT"),
        ("1e3", "BIGINT"),
        ("1_000", "BIGINT"),
        ("0x1F", "BIGINT"),
        ("9223372036854775808", "BIGINT"),
        ("1_000", "DOUBLE"),
        ("1,5", "DOUBLE"),
        ("nan", "DOUBLE"),
        ("inf", "DOUBLE"),
        ("1e400", "DOUBLE"),
        ("5 %", "DOUBLE"),
        ("yes", "BOOLEAN"),
        ("2", "BOOLEAN"),
        ("2026-11-20 10:00:00", "DATE"),
        ("2026-02-30", "DATE"),
        ("20/11/2026", "DATE"),
        ("2026-11-20", "TIMESTAMP"),
        ("2026-11-20 10:00:00+08:00", "TIMESTAMP"),
        ("2026-11-20 10:00:00 UTC", "TIMESTAMP"),
        ("2026-11-20 10:00:00 Asia/Shanghai", "TIMESTAMP"),
        ("2026-11-20 10:00:00.1234567", "TIMESTAMP"),
        ("infinity", "TIMESTAMP"),
        ("2026-11-20", "TIMESTAMPTZ"),
        ("2026-11-20 10:00:00", "TIMESTAMPTZ"),
        ("2026-11-20 10:00:00.123456789Z", "TIMESTAMPTZ"),
        ("epoch", "TIMESTAMPTZ"),
    ],
)
def test_a_text_that_would_lose_something_is_not_converted(text: str, sql_type: str) -> None:
    assert convert(text, sql_type, "text") is None


@pytest.mark.parametrize(
    ("json_text", "sql_type", "converted"),
    [
        ("5", "BIGINT", 5),
        ('"5"', "BIGINT", None),
        ("5.0", "BIGINT", None),
        ("5", "DOUBLE", 5.0),
        ('"5"', "DOUBLE", None),
        ("NaN", "DOUBLE", None),
        ("true", "BOOLEAN", True),
        ("1", "BOOLEAN", None),
        ('"true"', "BOOLEAN", None),
        ('"磁盘"', "VARCHAR", "磁盘"),
        ('""', "VARCHAR", ""),
        ("5", "VARCHAR", None),
        ('{"a": 1}', "VARCHAR", None),
        ('"2026-11-20"', "DATE", date(2026, 11, 20)),
        ("20261120", "DATE", None),
        ('{"device": "sda", "n": 1}', "MAP(VARCHAR, VARCHAR)", {"device": "sda", "n": "1"}),
        ("[1]", "MAP(VARCHAR, VARCHAR)", None),
        ('"device"', "MAP(VARCHAR, VARCHAR)", None),
    ],
)
def test_json_is_converted_from_the_type_it_has(json_text: str, sql_type: str, converted: Any) -> None:
    assert convert(json_text, sql_type, "json") == converted


@pytest.mark.parametrize(
    ("text", "converted"),
    [("2026/11/20 10:00:00", datetime(2026, 11, 20, 10)), ("2026-11-20 10:00:00", None), ("now", None)],
)
def test_a_declared_format_is_the_only_one(text: str, converted: datetime | None) -> None:
    assert convert(text, "TIMESTAMP", "text", "%Y/%m/%d %H:%M:%S") == converted


@pytest.mark.parametrize(
    ("column", "values", "decision"),
    [
        ("interval_s", pa.array([60, 60], pa.int32()), "admitted"),
        ("interval_s", pa.array([60.0, 60.0]), "retyped_column"),
        ("interval_s", pa.array([60, 60], pa.uint64()), "retyped_column"),
        ("sample_min", pa.array([1.0, 1.0], pa.float32()), "admitted"),
        ("sample_min", pa.array([1, 1]), "retyped_column"),
        ("last_seen", pa.array([datetime(2026, 11, 20)] * 2, pa.timestamp("ms")), "admitted"),
        ("last_seen", pa.array([datetime(2026, 11, 20)] * 2, pa.timestamp("ns")), "retyped_column"),
        ("last_seen", pa.array([datetime(2026, 11, 20)] * 2, pa.timestamp("us", "UTC")), "retyped_column"),
        ("collector", pa.array([1, 2]), "retyped_column"),
        ("collector", pa.array(["a", "b"], pa.large_string()), "admitted"),
    ],
)
def test_a_typed_column_is_widened_but_not_changed(
    firm_of: FirmOf, column: str, values: pa.Array, decision: str
) -> None:
    table = pq.read_table(io.BytesIO(file_bytes(FORMATS["parquet"], NAMES, [instance(), instance(ci="H2")])))
    table = table.set_column(table.schema.get_field_index(column), column, values)
    target = io.BytesIO()
    pq.write_table(table, target)
    firm = firm_of("parquet")
    entry = admit(firm, target.getvalue()) if decision == "admitted" else None
    if entry is None:
        firm.deliver(SYSTEM, DATASET, target.getvalue())
        [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert decision in (entry["decision"], entry["reason_code"])


def test_a_typed_file_without_any_required_column_is_admitted(firm: SmallFirm) -> None:
    folder = firm.settings.project / "governance" / "systems" / SYSTEM
    contract = folder / "metric_definitions.odcs.yaml"
    contract.write_text(contract.read_text().replace("        required: true\n", ""))
    defs = folder / "defs.yaml"
    defs.write_text(defs.read_text().replace("format: csv", "format: parquet"))
    records: list[dict[str, object]] = [{"metric": "cpu", "unit": "%", "interval_s": 60}]
    firm.deliver(
        SYSTEM,
        "metric_definitions",
        file_bytes(FORMATS["parquet"], COLUMNS[SYSTEM, "metric_definitions"], records),
    )
    assert firm.collect(SYSTEM, DAY, "metric_definitions")["metric_definitions"][0]["decision"] == "admitted"


def test_numbers_of_a_database_keep_every_digit(firm_of: FirmOf) -> None:
    firm = firm_of("sqlite")
    admit(firm, [instance(sample_min=0.1 + 0.2, sample_max=1e-300, sample_mean=2, sample_count=2**62)])
    assert firm.rows(TABLE, "sample_min, sample_max, sample_mean, sample_count") == [(0.1 + 0.2, 1e-300, 2.0, 2**62)]


def test_a_large_json_array_is_numbered_in_file_order(firm_of: FirmOf) -> None:
    firm = firm_of("json")
    records = [instance(ci=f"H{n}", device="x" * 400) for n in range(1, 8001)]
    assert len(file_bytes(FORMATS["json"], NAMES, records)) > 4 << 20
    admit(firm, records)
    assert admitted_hosts(firm) == {n: f"H{n}" for n in range(1, 8001)}


def test_a_file_none_of_whose_records_is_sound_is_refused(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci=None), instance(ci="H2", interval_s="1 min"), instance(metric=None)])
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["reason_code"], entry["rows_in"]) == ("refused", "no_sound_record", 3)
    assert "none of 3 records could be admitted; record 1: ci is required but empty; ask" in entry["reason"]
    assert firm.rows(TABLE) == []


def test_a_second_file_of_a_day_may_hold_other_metrics(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H1")], name="a")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H2", metric="ram"), instance(ci="H3")], name="b")
    entries = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert [(entry["decision"], entry["rows_admitted"]) for entry in entries] == [("admitted", 1), ("admitted", 2)]
    assert firm.rows(TABLE, "source_metric, metric") == [("cpu", "system.cpu.utilization")] * 2 + [("ram", None)]
