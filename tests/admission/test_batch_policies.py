"""Policies and thresholds at the gate: which rows and batches are refused, and what is only warned of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small_firm import DAY, SYSTEM, FirmOf, SmallFirm, instance

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.quality_policy.violations import VIOLATIONS

DATASET = "metric_instances"
TABLE = f"{SYSTEM}/{DATASET}"
RULES = "governance/admission.yaml"


def rule(firm: SmallFirm, text: str) -> None:
    (firm.settings.project / RULES).write_text(text, encoding="utf-8")


def policy(firm: SmallFirm, admission: str | None, name: str = "top", **bounds: object) -> None:
    """Add a policy: no sample above 100."""
    path = firm.settings.project / "expectations" / SYSTEM / f"{DATASET}.json"
    path.parent.mkdir(exist_ok=True)
    suite = json.loads(path.read_text()) if path.is_file() else {"name": DATASET, "expectations": []}
    suite["expectations"].append(
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": "sample_max", "max_value": 100},
            "severity": "warning",
            "meta": {
                "policy_id": f"gate.{name}",
                "anomaly_type": "impossible_value",
                "quality_dimension": "accuracy",
                "expected": "at most 100",
                **({"admission": admission} if admission else {}),
                **bounds,
            },
        }
    )
    path.write_text(json.dumps(suite))


def admit(firm: SmallFirm, *records: dict[str, object]) -> dict[str, Any]:
    firm.deliver(SYSTEM, DATASET, list(records))
    [entry] = firm.collect(SYSTEM, DAY, DATASET)[DATASET]
    return entry


SOUND = [instance(ci=f"H{n}") for n in range(1, 4)]
TOO_HIGH = instance(ci="H9", sample_max=250.0)


def test_a_policy_of_the_lake_alone_refuses_nothing(firm: SmallFirm) -> None:
    policy(firm, None)
    assert admit(firm, *SOUND, TOO_HIGH)["decision"] == "admitted"


def test_a_row_that_fails_a_batch_policy_is_quarantined_with_the_policy_and_its_value(firm: SmallFirm) -> None:
    policy(firm, "quarantine")
    entry = admit(firm, *SOUND, TOO_HIGH, instance(ci=None))
    assert (entry["decision"], entry["rows_admitted"], entry["rows_quarantined"]) == ("partial", 3, 2)
    assert json.loads(entry["quarantine_reasons"]) == {"policy:gate.top": 1, "required_missing:ci": 1}
    [(number, reason, payload)] = firm.rows(f"{TABLE}_quarantine", "_record_no, reason, payload", DAY)[:1]
    assert (number, reason) == (4, "policy gate.top expects at most 100, found 250.0")
    assert json.loads(payload)["ci"] == "H9"
    observed = "refused_record", f"{entry['batch_id']}:4", "policy:gate.top"
    assert observed in firm.rows(VIOLATIONS, "anomaly_type, subject_key, observed")


def test_a_policy_that_warns_admits_the_row_and_counts_it(firm: SmallFirm) -> None:
    policy(firm, "warn")
    entry = admit(firm, *SOUND, TOO_HIGH)
    assert (entry["decision"], entry["rows_admitted"], entry["rows_warned"]) == ("admitted", 4, 1)
    assert json.loads(entry["warnings"]) == {"gate.top": 1}


def test_a_policy_that_rejects_refuses_the_whole_batch(firm: SmallFirm) -> None:
    policy(firm, "reject")
    entry = admit(firm, *SOUND, TOO_HIGH)
    assert (entry["decision"], entry["reason_code"], entry["rows_in"]) == ("refused", "policy_refuses", 4)
    assert "1 of 4 rows fail policy gate.top, which expects at most 100 (it rejects the batch)" in entry["reason"]
    assert firm.rows(TABLE) == []


@pytest.mark.parametrize(
    ("bounds", "decision"),
    [
        ({"max_refused_rows": 1}, "partial"),
        ({"max_refused_rows": 0}, "refused"),
        ({"max_refused_share": 0.25}, "partial"),
        ({"max_refused_share": 0.24}, "refused"),
    ],
)
def test_a_policy_bounds_how_many_rows_may_fail_it(firm: SmallFirm, bounds: dict[str, Any], decision: str) -> None:
    policy(firm, "quarantine", **bounds)
    assert admit(firm, *SOUND, TOO_HIGH)["decision"] == decision


@pytest.mark.parametrize(
    ("rules", "decision"),
    [
        ("default: {max_refused_rows: 2}", "partial"),
        ("default: {max_refused_rows: 1}", "refused"),
        ("default: {max_refused_share: 0.4}", "partial"),
        ("default: {max_refused_share: 0.39}", "refused"),
        ("default: {max_refused_rows: 1}\ndatasets:\n  metric_instances: {max_refused_rows: 5}", "partial"),
        (
            "datasets:\n  metric_instances: {max_refused_rows: 5}\n"
            f"  {SYSTEM}/metric_instances: {{max_refused_share: 0.1}}",
            "refused",
        ),
        ("datasets:\n  metric_samples: {max_refused_rows: 0}\n  metric_definitions: {max_refused_rows: 0}", None),
    ],
)
def test_the_firm_bounds_how_much_of_a_batch_may_be_refused(firm: SmallFirm, rules: str, decision: str | None) -> None:
    rule(firm, rules)
    if decision is None:
        with pytest.raises(GovernanceError, match=r"datasets.metric_samples: no system delivers it"):
            admit(firm, *SOUND)
        return
    entry = admit(firm, *SOUND, instance(ci=None), instance(metric=None))
    assert entry["decision"] == decision
    if decision == "refused":
        assert entry["reason_code"] == "too_many_refused"
        assert "2 of 5 records are refused, most often required_missing:metric (1)" in entry["reason"]
        assert firm.rows(TABLE) == firm.rows(f"{TABLE}_quarantine") == []


def test_a_changed_threshold_or_batch_policy_holds_for_a_batch_that_is_in_the_lake(firm: SmallFirm) -> None:
    rule(firm, "default: {max_refused_rows: 0}")
    assert admit(firm, *SOUND, instance(ci=None))["decision"] == "refused"
    rule(firm, "default: {max_refused_rows: 3}")
    assert admit(firm, *SOUND, instance(ci=None))["decision"] == "partial"
    policy(firm, "quarantine")
    before = firm.lake.version(TABLE)
    assert admit(firm, *SOUND, instance(ci=None))["rows_admitted"] == 3
    # Nothing fails the new policy: it is judged anew, and nothing is written anew.
    assert firm.lake.version(TABLE) == before


def test_a_batch_policy_whose_column_is_missing_refuses_nothing_and_says_so(firm: SmallFirm) -> None:
    policy(firm, "quarantine")
    path = firm.settings.project / "expectations" / SYSTEM / f"{DATASET}.json"
    path.write_text(path.read_text().replace('"sample_max"', '"no_such_column"'))
    entry = admit(firm, *SOUND, TOO_HIGH)
    assert entry["decision"] == "admitted"
    assert json.loads(entry["warnings"]) == {"broken:gate.top": 0}


def test_a_batch_policy_that_needs_what_was_not_delivered_refuses_nothing_and_says_so(firm: SmallFirm) -> None:
    policy(firm, "quarantine", requires=["cmdb/configuration_items"])
    entry = admit(firm, *SOUND, TOO_HIGH)
    assert entry["decision"] == "admitted"
    assert json.loads(entry["warnings"]) == {"not_evaluated:gate.top": 0}


def test_unmapped_metrics_and_units_in_doubt_are_warnings(firm_of: FirmOf) -> None:
    firm = firm_of("csv")
    entry = admit(
        firm, *SOUND, instance(metric="odd"), instance(ci="H5", unit="furlong"), instance(metric="o", unit=None)
    )
    assert (entry["rows_admitted"], entry["rows_warned"]) == (6, 3)
    assert json.loads(entry["warnings"]) == {"unit_in_doubt": 2, "unmapped_metric": 2}


def test_the_ledger_names_source_versions_and_hashes(firm: SmallFirm) -> None:
    entry = admit(firm, *SOUND, instance(ci=None))
    assert (entry["source"], entry["contract_version"], entry["model_version"]) == ("landing", "1.0.0", "1.0.0")
    assert len(entry["policy_hash"]) == 16
    assert (entry["data_version"], entry["quarantine_version"]) == (
        firm.lake.version(TABLE),
        firm.lake.version(f"{TABLE}_quarantine"),
    )


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("default: {max_refused_share: 2}", "default.max_refused_share"),
        ("default: {deadline: noon}", "default.deadline"),
        ("default: {max_rows: 2}", "default.max_rows"),
        ("defaults: {}", "defaults"),
        ("datasets:\n  nowhere: {}", "datasets.nowhere"),
        ("datasets:\n  metric_instances: {usual_rows: {weeks: 0}}", "datasets.metric_instances.usual_rows.weeks"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_by_key(firm: SmallFirm, rules: str, problem: str) -> None:
    rule(firm, rules)
    with pytest.raises(GovernanceError) as caught:
        _ = firm.governance
    assert caught.value.path.name == "admission.yaml"
    assert caught.value.key == problem
