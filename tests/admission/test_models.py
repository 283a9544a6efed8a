"""A conform model that is wrong refuses its batch and says why: nothing is guessed, nothing else suffers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, SmallFirm, instance

from omgov_assets.admission import gate
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
RECORDS = [instance(ci="H1"), instance(ci="H2", interval_s=None), instance(ci="H3", device="sda")]


def with_model(firm: SmallFirm, old: str, new: str) -> dict[str, Any]:
    """Change the model of the instances, then collect; the ledger entry."""
    model = firm.system_folder / f"{DATASET}.sql"
    text = model.read_text(encoding="utf-8")
    assert old in text
    model.write_text(text.replace(old, new), encoding="utf-8")
    firm.deliver(SYSTEM, DATASET, RECORDS)
    firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": 60}])
    collected = firm.collect()
    assert [entry["decision"] for entry in collected["metric_definitions"]] == ["admitted"]
    [entry] = collected[DATASET]
    return entry


@pytest.mark.parametrize(
    ("old", "new", "finding", "words"),
    [
        ("SELECT", "SELEKT", "not_parsable", "syntax error"),
        ("metric AS source_metric", "metrik AS source_metric", "unknown_column", "metrik"),
        ("interval_s, collector", "ci || 1 AS interval_s, collector", "output_type_differs", "interval_s"),
        ("FROM source", "FROM elsewhere", "unknown_table", "elsewhere"),
        ("FROM source", "FROM read_csv('/etc/passwd')", "outside_access", "read_csv"),
        ("unit AS source_unit, ", "", "missing_output_column", "source_unit"),
        ("unit AS source_unit", "unit AS source_unit, 1 AS rack", "unexpected_output_column", "rack"),
        (", _record_no FROM", " FROM", "missing_output_column", "_record_no"),
        ("FROM source", "FROM source, range(2)", "not_record_wise", "a table function"),
        ("_record_no FROM", "_record_no + 1 AS _record_no FROM", "record_not_handed_on", "_record_no"),
        ("interval_s, collector", "(random() * 60)::BIGINT AS interval_s, collector", "not_deterministic", "random"),
    ],
)
def test_a_model_that_is_unsound_refuses_the_batch_before_it_runs(
    firm: SmallFirm, old: str, new: str, finding: str, words: str
) -> None:
    entry = with_model(firm, old, new)
    assert (entry["decision"], entry["reason_code"], entry["rows_in"]) == ("refused", "model_unsound", 3)
    assert f"governance/systems/{SYSTEM}/{DATASET}.sql:" in entry["reason"]
    assert f": {finding}: " in entry["reason"]
    assert words in entry["reason"]
    assert "data@example.com corrects it" in entry["reason"]
    assert "\n" not in entry["reason"]
    assert firm.rows(TABLE) == []
    assert firm.rows(VIOLATIONS, "anomaly_type, dataset") == [("refused_batch", DATASET)]


@pytest.mark.parametrize(
    ("old", "new", "code", "words"),
    [
        ("SELECT", "SELEKT", "model_failed", "syntax error"),
        ("metric AS source_metric", "metrik AS source_metric", "model_failed", '"metrik" not found'),
        (
            "interval_s, collector",
            "ci::BIGINT AS interval_s, collector",
            "model_failed",
            "Could not convert string 'H1'",
        ),
        ("FROM source", "FROM elsewhere", "model_failed", "elsewhere"),
        ("unit AS source_unit, ", "", "model_output_differs", "source_unit is missing"),
        (
            "unit AS source_unit",
            "unit AS source_unit, 1 AS rack",
            "model_output_differs",
            "rack is not in the standard contract",
        ),
        (
            "interval_s, collector",
            "interval_s::DOUBLE AS interval_s, collector",
            "model_output_differs",
            "interval_s is DOUBLE, not BIGINT",
        ),
        (
            "first_seen AT TIME ZONE 'Asia/Shanghai' AS first_seen_at",
            "first_seen AS first_seen_at",
            "model_output_differs",
            "first_seen_at is TIMESTAMP, not TIMESTAMP WITH TIME ZONE",
        ),
        (", _record_no FROM", " FROM", "model_output_differs", "_record_no is missing"),
        ("FROM source", "FROM source, range(2)", "model_multiplies_rows", "6 rows of 3 records"),
        (
            "_record_no FROM",
            "_record_no + 1 AS _record_no FROM",
            "model_invents_records",
            "1 rows that name no record",
        ),
        (
            "_batch_id, _record_no",
            "'b' AS _batch_id, _record_no",
            "model_invents_records",
            "3 rows that name no record",
        ),
        ("FROM source", "FROM source WHERE ci = 'H9'", "no_sound_record", "gives no row for this record"),
    ],
)
def test_what_the_static_check_would_let_through_is_refused_when_it_runs(
    firm: SmallFirm, monkeypatch: pytest.MonkeyPatch, old: str, new: str, code: str, words: str
) -> None:
    monkeypatch.setattr(gate, "model_fault_of", lambda *_: None)
    entry = with_model(firm, old, new)
    assert (entry["decision"], entry["reason_code"], entry["rows_in"]) == ("refused", code, 3)
    assert f"{DATASET}.sql" in entry["reason"]
    assert words in entry["reason"]
    assert "data@example.com corrects it" in entry["reason"] or code == "no_sound_record"
    assert "\n" not in entry["reason"]
    assert firm.rows(TABLE) == []
    assert firm.rows(VIOLATIONS, "anomaly_type, dataset") == [("refused_batch", DATASET)]


def test_a_record_that_the_model_drops_is_quarantined(firm: SmallFirm) -> None:
    entry = with_model(firm, "FROM source", "FROM source WHERE ci <> 'H2'")
    assert (entry["decision"], entry["rows_admitted"], entry["rows_quarantined"]) == ("partial", 2, 1)
    [(record_no, codes, reason, payload)] = firm.rows(f"{TABLE}_quarantine", "_record_no, reasons, reason, payload")
    assert (record_no, codes) == (2, ["dropped_by_model"])
    assert reason == f"processing model {DATASET}.sql gives no row for this record"
    assert json.loads(payload)["ci"] == "H2"


def test_a_record_that_the_model_drops_before_it_would_break_on_it_is_quarantined(
    firm: SmallFirm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records beside it come in, and so does what else was delivered."""
    monkeypatch.setattr(gate, "model_fault_of", lambda *_: None)
    model = firm.system_folder / f"{DATASET}.sql"
    text = model.read_text(encoding="utf-8")
    text = text.replace("ci AS ci_id", "nullif(ci, 'H4') AS ci_id")
    text = text.replace("MAP {'device': device}", "MAP {'device': (sample_count * 1000)::VARCHAR}")
    model.write_text(text, encoding="utf-8")
    firm.deliver(SYSTEM, DATASET, [*RECORDS, instance(ci="H4", device="sda", sample_count=2**62)], name="a.csv")
    firm.deliver(SYSTEM, DATASET, [instance(ci="H5")], name="b.csv")
    entries = {entry["file_name"].rpartition("/")[2]: entry for entry in firm.collect()[DATASET]}
    assert {
        name: (one["decision"], one["rows_admitted"], one["rows_quarantined"]) for name, one in entries.items()
    } == {
        "a.csv": ("partial", 3, 1),
        "b.csv": ("admitted", 1, 0),
    }
    [(record_no, codes, reason)] = firm.rows(f"{TABLE}_quarantine", "_record_no, reasons, reason")
    assert (record_no, codes) == (4, ["dropped_by_model"])
    assert f"{DATASET}.sql gives no row for this record, or breaks on it: Out of Range Error" in reason


def test_a_record_that_the_model_leaves_without_a_required_value_is_quarantined(firm: SmallFirm) -> None:
    entry = with_model(firm, "ci AS ci_id", "CASE WHEN interval_s IS NOT NULL THEN ci END AS ci_id")
    assert json.loads(entry["quarantine_reasons"]) == {"required_missing_after_conform:ci_id": 1}
    assert firm.rows(f"{TABLE}_quarantine", "_record_no, reason") == [
        (2, f"processing model {DATASET}.sql gives no ci_id for this record")
    ]
    assert firm.rows(TABLE, "_record_no") == [(1,), (3,)]


def test_each_record_has_a_reason_of_its_own(firm: SmallFirm) -> None:
    with_model(firm, "ci AS ci_id", "CASE WHEN device IS NULL THEN ci END AS ci_id")
    records = [
        instance(ci=None),
        instance(ci="H2", device="sda"),
        instance(ci="H3", interval_s="often"),
        instance(ci="H4"),
    ]
    firm.deliver(SYSTEM, DATASET, records, name="b.csv")
    entries = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    assert [json.loads(entry["quarantine_reasons"]) for entry in entries] == [
        {"required_missing_after_conform:ci_id": 1},
        {
            "not_convertible:interval_s": 1,
            "required_missing:ci": 1,
            "required_missing_after_conform:ci_id": 1,
        },
    ]


def test_a_model_may_end_in_a_comment(firm: SmallFirm) -> None:
    assert with_model(firm, "FROM source", "FROM source -- all of it")["decision"] == "admitted"
    assert with_model(firm, "FROM source", "FROM source WHERE ci <> 'H2'")["decision"] == "partial"


def test_a_series_is_known_by_system_metric_ci_and_sorted_attributes(firm: SmallFirm) -> None:
    attributes = "MAP {'zone': 'b', 'device': device}"
    with_model(firm, "MAP {'device': device}", attributes)
    for instance_id, ci, text in firm.rows(TABLE, "instance_id, ci_id, attributes"):
        assert text == ('{"device":"sda","zone":"b"}' if ci == "H3" else "{}")
        identity = "\x1f".join([SYSTEM, "cpu", ci, text])
        assert instance_id == hashlib.md5(identity.encode()).hexdigest()[:16]  # noqa: S324 - an identity, no secret


def test_values_are_converted_to_the_unit_of_the_standard(firm: SmallFirm) -> None:
    firm.deliver(
        SYSTEM,
        DATASET,
        [
            instance(ci="H1", unit="%"),
            instance(ci="H2", unit="1", sample_max=0.5),
            instance(ci="H3", unit="ms"),
            instance(ci="H4", unit="bananas"),
            instance(ci="H5", unit=None),
            instance(ci="H6", metric="unheard_of"),
        ],
    )
    firm.collect(SYSTEM, DAY, DATASET)
    assert firm.rows(TABLE, "ci_id, metric, unit, unit_status, value_max") == [
        ("H1", "system.cpu.utilization", "%", "ok", 90.0),
        ("H2", "system.cpu.utilization", "1", "ok", 50.0),
        ("H3", "system.cpu.utilization", "ms", "incompatible", None),
        ("H4", "system.cpu.utilization", None, "unknown", None),
        ("H5", "system.cpu.utilization", None, "missing", None),
        ("H6", None, "%", "ok", None),
    ]


def test_attributes_that_the_name_of_a_metric_implies_become_attributes_of_the_series(firm: SmallFirm) -> None:
    (firm.system_folder / "metric_mappings.yaml").write_text(
        "mappings:\n"
        "  - regex: 'disk_(?P<device>[a-z]+)_(?P<way>read|write)'\n"
        "    metric: system.disk.io\n"
        "    unit: By/s\n"
        '    attributes: {device: "{device}", direction: "{way}"}\n'
        "  - {match: cpu, metric: system.cpu.utilization}\n"
    )
    firm.deliver(
        SYSTEM,
        DATASET,
        [
            instance(metric="disk_sda_read"),
            instance(metric="disk_sdb_write", device="told otherwise"),
            instance(metric="cpu", device="sda"),
            instance(metric="cpu"),
        ],
    )
    firm.collect(SYSTEM, DAY, DATASET)
    rows = firm.rows(TABLE, "source_metric, metric, attributes, instance_id")
    assert [row[:3] for row in rows] == [
        ("cpu", "system.cpu.utilization", '{"device":"sda"}'),
        ("cpu", "system.cpu.utilization", "{}"),
        ("disk_sda_read", "system.disk.io", '{"device":"sda","direction":"read"}'),
        ("disk_sdb_write", "system.disk.io", '{"device":"sdb","direction":"write"}'),
    ]
    assert len({row[3] for row in rows}) == 4


def test_a_metric_that_two_patterns_claim_is_left_unmapped(firm: SmallFirm) -> None:
    (firm.system_folder / "metric_mappings.yaml").write_text(
        "mappings:\n"
        "  - {match: 'cpu_*', metric: system.cpu.utilization}\n"
        "  - {match: '*_idle', metric: system.cpu.user.utilization}\n"
    )
    firm.deliver(SYSTEM, DATASET, [instance(metric="cpu_idle"), instance(metric="cpu_busy")])
    firm.collect(SYSTEM, DAY, DATASET)
    assert firm.rows(TABLE, "source_metric, metric") == [("cpu_busy", "system.cpu.utilization"), ("cpu_idle", None)]
