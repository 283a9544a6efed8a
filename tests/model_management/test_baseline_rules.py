"""Dynamic-baseline rules: what the firm's file says, and what is wrong with faulty ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from omgov_assets.model_management.baseline_rules import BaselineRules, load_baseline_rules
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance


def project(tmp_path: Path, text: str) -> Path:
    (tmp_path / "governance").mkdir()
    (tmp_path / "governance" / "dynamic_baselines.yaml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_firm_without_the_document_has_the_defaults(tmp_path: Path) -> None:
    assert load_baseline_rules(tmp_path) == BaselineRules()


def test_the_firms_own_document_is_sound_and_part_of_its_control_information(project_root: Path) -> None:
    rules = load_baseline_rules(project_root)
    assert "@" in rules.owner
    assert rules == load_governance(project_root).dynamic_baselines
    # What was measured is what is shipped without the document, too.
    assert rules.model_copy(update={"owner": ""}) == BaselineRules()


def test_other_rules_have_another_hash(tmp_path: Path) -> None:
    assert load_baseline_rules(project(tmp_path, "band_width: 5")).hash != BaselineRules().hash


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("history_days: 1", "history_days"),
        ("history_days: .nan", "history_days"),
        ("band_width: 0.5", "band_width"),
        ("band_width: .inf", "band_width"),
        ("minimum_days: 30\nlevel_shift_days: 30", "no band would ever be in force"),
        ("minimum_days: 5", "a new level would have no band"),
        ("unit_factors: []", "unit_factors are above 1"),
        ("unit_factors: [1000, 0.125]", "unit_factors are above 1"),
        ("unit_tolerance: 1", "unit_tolerance"),
        ("gap_steps: many", "gap_steps"),
        ("sigma: 3", "sigma"),
        ("- 1", "dynamic_baselines.yaml"),
    ],
)
def test_faulty_rules_name_file_and_key(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(GovernanceError, match=r"dynamic_baselines\.yaml") as raised:
        load_baseline_rules(project(tmp_path, text))
    assert problem in str(raised.value)
