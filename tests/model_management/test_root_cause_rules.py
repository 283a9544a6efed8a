"""Root cause rules: what the firm's file says, and what is wrong with faulty ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.root_cause_rules import (
    ANOMALY_ATTRIBUTES,
    Evidence,
    RootCauseRules,
    load_root_cause_rules,
)


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / "root_causes.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_firm_without_the_document_has_the_defaults(tmp_path: Path) -> None:
    rules = load_root_cause_rules(tmp_path)
    assert rules == RootCauseRules()
    assert rules.attributes == ANOMALY_ATTRIBUTES
    assert rules.ci_attributes == ()


def test_the_firms_own_document_has_the_constants_that_were_chosen(project_root: Path) -> None:
    rules = load_root_cause_rules(project_root)
    assert rules.evidence == Evidence()
    assert set(rules.ci_attributes) == {"rack", "agent_version", "subnet"}
    # A host stands in one rack: the wider name for the same anomalies comes first.
    assert rules.attributes.index("rack") < rules.attributes.index("host")


def test_what_is_not_said_of_the_evidence_is_the_default(tmp_path: Path) -> None:
    rules = load_root_cause_rules(project(tmp_path, "attributes: [subnet, system]\nevidence: {minimum_lift: 3}\n"))
    assert rules.evidence == Evidence(minimum_lift=3)
    assert rules.ci_attributes == ("subnet",)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("attributes: []", "name at least one attribute"),
        ("attributes: [host, host]", "each once"),
        ("attributes: [Agent Version]", "'Agent Version' is no column"),
        ("attributes: ['host\"; DROP TABLE anomalies; --']", "is no column"),
        ("attributes: [anomaly_type, host]", "leave it out"),
        ("attributes: host", "attributes"),
        ("evidence: {deepest: 4}", "evidence.deepest"),
        ("evidence: {deepest: 0}", "evidence.deepest"),
        ("evidence: {minimum_lift: 1}", "evidence.minimum_lift"),
        ("evidence: {minimum_score: .nan}", "evidence.minimum_score"),
        ("evidence: {minimum_score: 0}", "evidence.minimum_score"),
        ("evidence: {depth_penalty: 0.9}", "evidence.depth_penalty"),
        ("evidence: {minimum_anomalies: few}", "evidence.minimum_anomalies"),
        ("evidence: {minimum_coverage: 1.1}", "evidence.minimum_coverage"),
        ("evidence: {faint_rest: 0}", "evidence.faint_rest"),
        ("evidence: {most_causes: 0}", "evidence.most_causes"),
        ("evidence: {depth: 2}", "evidence.depth"),
        ("constants: {}", "constants"),
        ("- 1", "root_causes.yaml"),
    ],
)
def test_a_faulty_document_names_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"root_causes\.yaml") as raised:
        load_root_cause_rules(project(tmp_path, text))
    assert problem in str(raised.value)


def test_rules_cannot_be_changed_by_who_reads_them() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RootCauseRules().owner = "nobody"  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        Evidence().deepest = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("colour", "'colour' is neither an attribute of anomalies nor a column of configuration_items"),
        ("ip_address", "'ip_address' is graded 3, and causes are shown to everyone"),
    ],
)
def test_an_attribute_is_a_column_that_everyone_may_see(tmp_path: Path, name: str, problem: str) -> None:
    project(tmp_path, f"attributes: [rack, {name}]")
    with pytest.raises(GovernanceError, match=r"attributes\.1") as raised:
        load_root_cause_rules(tmp_path, {"rack": 1, "ip_address": 3})
    assert problem in str(raised.value)
