"""Exception rules: what the firm's file says, and what is wrong with faulty ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from omgov_assets.model_management.control import document_kind
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.exception_rules import EXCEPTIONS_DOCUMENT, ExceptionRules, load_exception_rules

DUE = "due_business_days: {critical: {default: 1}, warning: {default: 2}"


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "governance").mkdir()
    (tmp_path / EXCEPTIONS_DOCUMENT).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_firms_own_rules_are_sound(project_root: Path) -> None:
    rules = load_exception_rules(project_root)
    assert rules.due_days("critical", 1) < rules.due_days("critical", 3) < rules.due_days("warning", 3)
    assert rules.due_days("info", None) == rules.due_days("info", 1) == 30
    assert document_kind(EXCEPTIONS_DOCUMENT) == "exception_rules"


def test_a_firm_without_the_document_has_defaults_for_every_severity(tmp_path: Path) -> None:
    rules = load_exception_rules(tmp_path)
    assert [rules.due_days(severity, None) for severity in ("critical", "warning", "info")] == [3, 10, 30]


def test_a_tier_that_is_not_listed_has_the_default(tmp_path: Path) -> None:
    text = "due_business_days: {critical: {1: 1, default: 4}, warning: {default: 2}, info: {default: 0}}"
    rules = load_exception_rules(project(tmp_path, text))
    assert [rules.due_days("critical", tier) for tier in (1, 2, None)] == [1, 4, 4]
    assert rules.due_days("info", 1) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{DUE}}}", "due_business_days lacks info"),
        (f"{DUE}, info: {{1: 2}}}}", "due_business_days.info lacks default"),
        (f"{DUE}, info: {{default: -1}}}}", "due_business_days.info.default must lie between 0 and 365"),
        (f"{DUE}, info: {{gold: 1, default: 2}}}}", "due_business_days"),
        (f"{DUE}, fatal: {{default: 2}}}}", "due_business_days.fatal"),
        ("reopening_days: 0", "reopening_days"),
        ("reopening_days: soon", "reopening_days"),
        ("claim_grace_days: -1", "claim_grace_days"),
        ("escalation_business_days: -1", "escalation_business_days"),
        ("longest_waiver_days: 0", "longest_waiver_days"),
        ("waiver_warning_days: -1", "waiver_warning_days"),
        ("governance_office: ''", "governance_office"),
        ("governance_office: ' office'", "without spaces"),
        ("sla: {}", "sla"),
        ("- 1", "exceptions.yaml"),
    ],
)
def test_faulty_rules_name_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"exceptions\.yaml") as raised:
        load_exception_rules(project(tmp_path, text))
    assert problem in str(raised.value)


def test_rules_cannot_be_changed_by_who_reads_them() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ExceptionRules().reopening_days = 1  # type: ignore[misc]
