"""The check against the corpus of models: every planted fault is found where it is, and nothing on a sound model."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from omgov_assets.model_management.model_check import ModelReport, check_project
from omgov_assets.model_management.processing_models import DERIVED

CORPUS = Path(__file__).parents[2] / "model_corpus"


@cache
def _yaml(name: str) -> Any:
    return yaml.safe_load((CORPUS / name).read_text(encoding="utf-8"))


def _report(project: Path, only: Collection[str] | None = None) -> ModelReport:
    rows = _yaml("rows.yaml")
    counts = {name: int(count) for name, count in (rows["rows"] | rows["source_rows"]).items()}
    limit = int(rows["limit"])
    return check_project(project, only=only, owners=_yaml("owners.yaml"), rows=counts, rows_limit=limit)


def _may_be_found_in(case: dict[str, Any]) -> Collection[str] | None:
    """Models that a case can change the findings of; None = any.

    A conform model is judged by its own SQL and by documents, a derive model by the other derive models as well. That
    it is so, the first case of each code shows: it is looked for in all models.
    """
    changed = [path for path in (CORPUS / "faulty" / case["case"]).rglob("*") if path.is_file()]
    first = next(one for one in _yaml("faulty/cases.yaml") if one["code"] == case["code"])
    if case == first or any(path.suffix != ".sql" for path in changed):
        return None
    if any(path.parent.name == DERIVED for path in changed):
        folders = (CORPUS / "firm", CORPUS / "faulty" / case["case"])
        changed += [path for folder in folders for path in (folder / "governance" / DERIVED).glob("*.sql")]
    return {path.stem if path.parent.name == DERIVED else f"{path.parent.name}/{path.stem}" for path in changed}


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
    findings = [
        finding for finding in _report(project, _may_be_found_in(case)).findings if finding.code != "not_analysed"
    ]
    assert {finding.code for finding in findings} == {case["code"]}
    assert case["model"] in {finding.model for finding in findings}
    assert {(finding.path, finding.line) for finding in findings} <= _places(case)
