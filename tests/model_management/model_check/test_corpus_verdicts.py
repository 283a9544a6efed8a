"""The check against the corpus of models: every planted fault is found where it is, and nothing on a sound model."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from omgov_assets.model_management.model_check import ModelReport, check_project

CORPUS = Path(__file__).parents[2] / "model_corpus"


@cache
def _yaml(name: str) -> Any:
    return yaml.safe_load((CORPUS / name).read_text(encoding="utf-8"))


def _report(project: Path) -> ModelReport:
    rows = _yaml("rows.yaml")
    counts = {name: int(count) for name, count in (rows["rows"] | rows["source_rows"]).items()}
    return check_project(project, owners=_yaml("owners.yaml"), rows=counts, rows_limit=int(rows["limit"]))


def _places(case: dict[str, Any]) -> set[tuple[str, int]]:
    return {(place["path"], place["line"]) for place in (case, *case.get("also", ()))}


def test_no_sound_model_has_a_finding() -> None:
    report = _report(CORPUS / "firm")
    assert len(report.models) >= 30
    assert [finding for finding in report.findings if finding.code != "not_analysed"] == []


def test_all_sound_models_are_followed_to_the_end() -> None:
    assert [finding.model for finding in _report(CORPUS / "firm").findings if finding.code == "not_analysed"] == []


@pytest.mark.parametrize("case", _yaml("faulty/cases.yaml"), ids=lambda case: case["case"])
def test_a_planted_fault_is_the_only_finding(case: dict[str, Any], tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(CORPUS / "firm", project)
    shutil.copytree(CORPUS / "faulty" / case["case"], project, dirs_exist_ok=True)
    findings = [finding for finding in _report(project).findings if finding.code != "not_analysed"]
    assert {finding.code for finding in findings} == {case["code"]}
    assert case["model"] in {finding.model for finding in findings}
    assert {(finding.path, finding.line) for finding in findings} <= _places(case)
