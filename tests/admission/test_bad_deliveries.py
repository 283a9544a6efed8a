"""A file that cannot be used is refused as a whole, in one sentence, and harms nothing else. In every format.

One night per format gets all bad files beside a sound one; the tests look at what became of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from small_firm import COLUMNS, DAY, FORMATS, SYSTEM, FirmOf, SmallFirm, file_bytes, instance

from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
NAMES = COLUMNS[SYSTEM, DATASET]
YESTERDAY = DAY - timedelta(days=1)
GARBAGE = "<html><body>503 Service Unavailable</body></html>\n"
NOT_UTF_8 = b"\xb4\xc5\xc5\xcc\xff\xff"  # as long as 磁盘 in UTF-8, so that lengths within binary files stay right

# Quotation marks, commas and Chinese: what an encoding or a delimiter could break.
RECORDS = [instance(ci=ci, device=f'磁盘 "{ci}", 一号') for ci in ("H1", "H2", "H3")]
COPY = [instance(ci=ci, sample_max=91.0) for ci in ("H1", "H2", "H3")]


def is_text(delivers: str) -> bool:
    return FORMATS[delivers]["format"] in {"csv", "ndjson", "json"}


def written(delivers: str, records: list[dict[str, object]], names: list[str] | None = None) -> bytes:
    return file_bytes(FORMATS[delivers], names or NAMES, records)


def of_another_encoding(delivers: str) -> bytes:
    sound = written(delivers, RECORDS)
    match delivers:
        case "csv" | "ndjson" | "json":
            return sound.decode().encode("gbk")
        case "csv-gbk" | "csv-utf-16":
            return written("csv", RECORDS)
        case _:
            return sound.replace("磁盘".encode(), NOT_UTF_8)


def renamed(delivers: str) -> bytes:
    names = ["interval" if name == "interval_s" else name for name in NAMES]
    records = [dict(zip(names, record.values(), strict=True)) for record in RECORDS]
    return written(delivers, records, names)


def without_interval(delivers: str) -> bytes:
    names = [name for name in NAMES if name != "interval_s"]
    return written(delivers, [{name: record[name] for name in names} for record in RECORDS], names)


def without_records(delivers: str) -> bytes:
    return b"\n" if delivers == "ndjson" else written(delivers, [])


def cut_off(delivers: str) -> bytes:
    sound = written(delivers, RECORDS)
    return sound[: len(sound) - 8 if is_text(delivers) else len(sound) // 2]


@dataclass(frozen=True)
class Fault:
    """Bytes of the bad file by format; reason code and words of the refusal, which the format may decide."""

    content: Callable[[str], bytes]
    code: Callable[[str], str]
    words: Callable[[str], tuple[str, ...]]


def always(value: Any) -> Callable[[str], Any]:
    return lambda delivers: value


FAULTS = {
    "empty": Fault(always(b""), always("empty_file"), always(("is empty (0 bytes)", "records were expected"))),
    "header-only": Fault(
        without_records,
        lambda delivers: "unreadable" if delivers == "ndjson" else "no_records",
        lambda delivers: ("holds no ",),
    ),
    "truncated": Fault(
        cut_off,
        lambda delivers: "unreadable" if delivers == "parquet" else "truncated",
        lambda delivers: ("is not a complete Parquet file",) if delivers == "parquet" else ("cut off",),
    ),
    "encoding": Fault(
        of_another_encoding,
        always("wrong_encoding"),
        lambda delivers: (
            FORMATS[delivers].get("encoding", "utf-8").upper(),
            {"csv": "line 2 holds the bytes", "ndjson": "line 1 holds the bytes", "json": "line 1 holds"}.get(
                delivers, ""
            ),
        ),
    ),
    "extra": Fault(
        lambda delivers: written(delivers, [{**record, "机房": "A"} for record in RECORDS]),
        always("extra_column"),
        always(("column 机房 is not in the source contract", "publish a new contract version")),
    ),
    "missing": Fault(
        without_interval,
        always("missing_column"),
        always(("column interval_s is missing: the source contract names 13 columns",)),
    ),
    "renamed": Fault(
        renamed,
        always("missing_column"),
        always(("column interval_s is missing (there is interval instead)",)),
    ),
    "retyped": Fault(
        lambda delivers: written(delivers, [{**record, "interval_s": "1 min"} for record in RECORDS]),
        always("retyped_column"),
        lambda delivers: (
            "column interval_s is VARCHAR where the source contract says BIGINT"
            if delivers == "parquet"
            else "column interval_s is nowhere a whole number",
        ),
    ),
    "garbage": Fault(
        lambda delivers: GARBAGE.encode("utf-16" if delivers == "csv-utf-16" else "utf-8"),
        lambda delivers: {"csv": "missing_column", "json": "truncated"}.get(FORMATS[delivers]["format"], "unreadable"),
        always(()),
    ),
    "copy": Fault(
        lambda delivers: written(delivers, COPY),
        always("repeated_delivery"),
        always((f"byte for byte the delivery of {YESTERDAY}", f"data of {DAY} was expected")),
    ),
}
REMEDIES = ("deliver it in", "publish a new contract version", "ask the business system", "declare")

Night = tuple[SmallFirm, dict[str, dict[str, Any]]]
each_format = pytest.mark.parametrize("delivers", FORMATS)


@pytest.fixture(scope="module")
def night_of(projects: FirmOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Night]:
    """A night of a format's bad files beside a sound one: the firm, and ledger entries by file."""

    @cache
    def night(delivers: str) -> Night:
        firm = projects(delivers).at(tmp_path_factory.mktemp("home"))
        firm.deliver(SYSTEM, DATASET, COPY, YESTERDAY)
        firm.collect(SYSTEM, YESTERDAY, DATASET)
        firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": 60}])
        firm.deliver(SYSTEM, DATASET, RECORDS, name="sound")
        for name, fault in FAULTS.items():
            firm.deliver(SYSTEM, DATASET, fault.content(delivers), name=name)
        entries = firm.collect()
        assert [entry["decision"] for entry in entries["metric_definitions"]] == ["admitted"]
        return firm, {entry["file_name"].rpartition("/")[2]: entry for entry in entries[DATASET]}

    return night


@each_format
@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_file_is_refused_in_one_sentence(night_of: Callable[[str], Night], delivers: str, name: str) -> None:
    firm, entries = night_of(delivers)
    entry, fault = entries[name], FAULTS[name]
    assert (entry["decision"], entry["reason_code"]) == ("refused", fault.code(delivers))
    assert (entry["rows_admitted"], entry["rows_quarantined"]) == (0, 0)
    sentence = entry["reason"]
    assert name in sentence
    for words in fault.words(delivers):
        assert words in sentence
    assert any(remedy in sentence for remedy in REMEDIES), sentence
    assert "\n" not in sentence
    assert str(firm.settings.home) not in sentence


@each_format
def test_the_sound_file_beside_them_is_admitted_to_the_last_character(
    night_of: Callable[[str], Night], delivers: str
) -> None:
    firm, entries = night_of(delivers)
    assert (entries["sound"]["decision"], entries["sound"]["rows_admitted"]) == ("admitted", 3)
    found = firm.rows(TABLE, "_batch_id, _record_no, attributes, interval_s, sample_mean, last_seen_at::VARCHAR")
    batch_id = entries["sound"]["batch_id"]
    assert found == [
        (batch_id, n, f'{{"device":"磁盘 \\"H{n}\\", 一号"}}', 60, 30.0, "2026-11-20 15:59:00+00") for n in (1, 2, 3)
    ]
    assert firm.rows(f"{TABLE}_quarantine") == []
    assert len(firm.rows(f"{SYSTEM}/metric_definitions")) == 1


@each_format
def test_every_refusal_is_a_violation_with_its_sentence(night_of: Callable[[str], Night], delivers: str) -> None:
    firm, entries = night_of(delivers)
    columns = "policy_id, anomaly_type, dataset, subject_kind, subject_key, batch_id, severity, observed"
    refused = [entry for entry in entries.values() if entry["decision"] == "refused"]
    assert len(refused) == len(FAULTS)
    assert firm.rows(VIOLATIONS, columns) == sorted(
        (
            "admission.refused_batch",
            "refused_batch",
            DATASET,
            "batch",
            e["batch_id"],
            e["batch_id"],
            "critical",
            e["reason"],
        )
        for e in refused
    )


@each_format
def test_the_same_bad_night_again_changes_nothing(night_of: Callable[[str], Night], delivers: str) -> None:
    firm, entries = night_of(delivers)
    tables = (TABLE, f"{TABLE}_quarantine", "admission/ledger", VIOLATIONS)
    before = [firm.rows(table, day=None) for table in tables]
    again = firm.collect()[DATASET]
    assert {entry["file_name"].rpartition("/")[2]: entry for entry in again} == entries
    assert [firm.rows(table, day=None) for table in tables] == before


def test_nothing_delivered_is_a_violation_until_something_comes(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    assert firm.collect(SYSTEM, DAY, DATASET) == {DATASET: []}
    assert firm.rows(VIOLATIONS, "policy_id, quality_dimension, subject_kind, subject_key, batch_id") == [
        ("admission.not_delivered", "timeliness", "dataset", DATASET, None)
    ]
    firm.deliver(SYSTEM, DATASET, RECORDS)
    firm.collect(SYSTEM, DAY, DATASET)
    assert firm.rows(VIOLATIONS) == []
    assert len(firm.rows(TABLE)) == 3


def refusal(firm: SmallFirm, content: bytes) -> dict[str, Any]:
    firm.deliver(SYSTEM, DATASET, content)
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert entry["decision"] == "refused"
    assert firm.rows(TABLE) == []
    return entry


@pytest.mark.parametrize("kept", [1, 15, 100, 4096, 8192, -1])
def test_a_database_file_that_is_cut_off_anywhere_is_refused(firm_of: FirmOf, kept: int) -> None:
    content = written("sqlite", [instance(ci=f"H{n}") for n in range(200)])
    assert len(content) > 16_384
    assert refusal(firm_of("sqlite"), content[:kept])["reason_code"] == (
        "truncated" if kept < 0 or kept > 99 else "unreadable"
    )


@pytest.mark.parametrize("ending", [",\n", ",", "\n"])
def test_a_json_array_that_is_cut_off_between_two_records_is_refused(firm_of: FirmOf, ending: str) -> None:
    text = written("json", RECORDS).decode()
    entry = refusal(firm_of("json"), (text[: text.rindex(",\n")] + ending).encode())
    assert entry["reason_code"] == "truncated"


def test_two_json_arrays_are_not_one_file(firm_of: FirmOf) -> None:
    assert refusal(firm_of("json"), written("json", RECORDS) * 2)["reason_code"] == "unreadable"


def test_text_of_utf_16_is_not_utf_8(firm_of: FirmOf) -> None:
    entry = refusal(firm_of("csv"), written("csv-utf-16", RECORDS))
    assert entry["reason_code"] == "wrong_encoding"
    assert "is not UTF-8: it begins with the byte order mark of UTF-16" in entry["reason"]


def test_ascii_is_gbk_and_utf_8_alike(firm_of: FirmOf) -> None:
    firm = firm_of("csv-gbk")
    firm.deliver(SYSTEM, DATASET, written("csv", [instance()]))
    assert firm.collect(SYSTEM, DAY, DATASET)[DATASET][0]["decision"] == "admitted"


@pytest.mark.parametrize("delivers", ["csv", "ndjson", "json"])
def test_utf_8_may_begin_with_its_byte_order_mark(firm_of: FirmOf, delivers: str) -> None:
    firm = firm_of(delivers)
    firm.deliver(SYSTEM, DATASET, b"\xef\xbb\xbf" + written(delivers, RECORDS))
    assert firm.collect(SYSTEM, DAY, DATASET)[DATASET][0]["rows_admitted"] == 3


def test_numbers_where_the_contract_says_text_are_a_retyped_column_in_json(firm_of: FirmOf) -> None:
    entry = refusal(firm_of("ndjson"), written("ndjson", [{**record, "collector": 7} for record in RECORDS]))
    assert entry["reason_code"] == "retyped_column"
    assert "column collector is nowhere text" in entry["reason"]


def test_a_quote_that_is_never_closed_swallows_no_record(firm_of: FirmOf) -> None:
    content = written("csv", [instance(ci=ci) for ci in ("H1", "H2", "H3", "H4")]).replace(b"H2", b'"H2')
    assert refusal(firm_of("csv"), content)["reason_code"] in {"line_count_mismatch", "unreadable"}


def test_a_value_that_runs_over_a_line_end_is_refused_with_the_count(firm_of: FirmOf) -> None:
    entry = refusal(firm_of("csv"), written("csv", [instance(device="a\nb"), instance(ci="H2")]))
    assert entry["reason_code"] == "line_count_mismatch"
    assert "3 lines below its header but 2 records" in entry["reason"]


def test_a_column_that_stands_twice_is_refused(firm_of: FirmOf) -> None:
    lines = written("csv", RECORDS).decode().splitlines()
    content = "\n".join(f"{line},{'unit' if n == 0 else '%'}" for n, line in enumerate(lines)) + "\n"
    assert refusal(firm_of("csv"), content.encode())["reason_code"] == "duplicate_column"


@pytest.mark.parametrize("delivers", ["csv", "ndjson", "sqlite"])
def test_a_required_column_without_any_value_is_refused(firm_of: FirmOf, delivers: str) -> None:
    content = written(delivers, [instance(metric=None), instance(metric=None, ci="H2")])
    entry = refusal(firm_of(delivers), content)
    assert entry["reason_code"] == "empty_column"
    assert "column metric is required but empty in all records" in entry["reason"]


def test_a_database_without_the_declared_table_is_refused(firm_of: FirmOf) -> None:
    entry = refusal(firm_of("sqlite"), file_bytes({"format": "sqlite", "table": "other"}, NAMES, RECORDS))
    assert entry["reason_code"] == "missing_table"
    assert "no table 'exported', which defs.yaml names" in entry["reason"]


@pytest.mark.parametrize("delivers", ["csv", "json", "parquet", "sqlite"])
def test_a_file_name_may_hold_any_character(firm_of: FirmOf, delivers: str) -> None:
    firm = firm_of(delivers)
    names = ["a #1.db", "50%25.db", "日报?.db", "a[1]*.db", "it's; DROP TABLE x.db"]
    for n, name in enumerate(names, start=1):
        firm.deliver(SYSTEM, DATASET, written(delivers, [instance(ci=f"H{n}-{i}") for i in range(n)]), name=name)
    # Where an odd name is taken for a pattern, this file is found as well.
    firm.deliver(SYSTEM, DATASET, written(delivers, [instance(ci="H9")] * 9), name="a1z.db")
    entries = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert {e["file_name"].rpartition("/")[2]: (e["decision"], e["rows_admitted"]) for e in entries} == {
        **{name: ("admitted", n) for n, name in enumerate(names, start=1)},
        "a1z.db": ("admitted", 9),
    }


def test_text_behind_a_thousand_nulls_of_a_database_is_still_text(firm_of: FirmOf) -> None:
    firm = firm_of("sqlite")
    firm.deliver(SYSTEM, DATASET, [instance(ci=f"H{n}", device="sda" if n == 3000 else None) for n in range(1, 3001)])
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert (entry["decision"], entry["rows_admitted"]) == ("admitted", 3000)
    assert firm.rows(TABLE, "attributes, _record_no")[-1] == ("{}", 2999)
    assert ('{"device":"sda"}', 3000) in firm.rows(TABLE, "attributes, _record_no")


@pytest.mark.parametrize(("grade", "shown"), [("3", "'1***'"), ("1", "'139 0000 1111'"), (None, "'1***'")])
def test_a_value_stands_in_the_refusal_only_where_its_column_is_graded_open(
    firm: SmallFirm, grade: str | None, shown: str
) -> None:
    contract = firm.settings.project / "governance" / "systems" / SYSTEM / "metric_definitions.odcs.yaml"
    grading = f"classification: '{grade}'" if grade else "description: nobody has graded it"
    open_column = 'physicalType: BIGINT\n        classification: "1"'
    assert open_column in contract.read_text()
    contract.write_text(contract.read_text().replace(open_column, f"physicalType: BIGINT\n        {grading}"))
    firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": "139 0000 1111"}])
    [entry] = firm.collect(SYSTEM, DAY, "metric_definitions")["metric_definitions"]
    assert f"column interval_s is nowhere a whole number (e.g. {shown})" in entry["reason"]
