"""Control information is read anew when any byte of it changes, and only then."""

from __future__ import annotations

import os
import shutil
from datetime import date
from pathlib import Path

import pytest

from omgov_assets.model_management.documents import parse_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance


@pytest.fixture
def project(tmp_path: Path, project_root: Path) -> Path:
    shutil.copytree(project_root / "governance", tmp_path / "governance")
    return tmp_path


def test_what_has_not_changed_is_not_read_again(project: Path) -> None:
    assert load_governance(project) is load_governance(project)


def test_a_change_of_the_same_length_at_the_same_time_is_seen(project: Path) -> None:
    before = load_governance(project)
    path = project / "governance" / "firm.yaml"
    status, text = path.stat(), path.read_text(encoding="utf-8")
    assert "first_day: 2026-11-01" in text
    path.write_text(text.replace("first_day: 2026-11-01", "first_day: 2026-11-02"), encoding="utf-8")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    changed = load_governance(project)
    assert changed.firm != before.firm
    path.write_text(text, encoding="utf-8")
    assert load_governance(project).firm == before.firm


def test_a_file_that_goes_is_seen(project: Path) -> None:
    assert load_governance(project).wording.model_dump() != {}
    (project / "governance" / "firm.yaml").unlink()
    with pytest.raises(GovernanceError, match="missing"):
        load_governance(project)


def test_projects_are_told_apart(project: Path, project_root: Path) -> None:
    assert load_governance(project).project == project
    assert load_governance(project_root).project == project_root
    assert load_governance(project).project == project


def test_a_document_belongs_to_whoever_asked_for_it(tmp_path: Path) -> None:
    text = "a: &shared [1, 2]\nb: *shared\nc: {d: 2026-11-20}\n"
    first = parse_yaml(text, tmp_path / "one.yaml")
    first["c"]["d"] = "changed"
    first["a"].append(3)
    # An alias stays one thing in two places, or a small file could become a large document.
    assert first["b"] == [1, 2, 3]
    assert parse_yaml(text, tmp_path / "another.yaml") == {"a": [1, 2], "b": [1, 2], "c": {"d": date(2026, 11, 20)}}


def test_a_fault_is_told_with_the_file_it_is_in_each_time(tmp_path: Path) -> None:
    for name in ("one.yaml", "another.yaml"):
        with pytest.raises(GovernanceError, match=name):
            parse_yaml("a: [", tmp_path / name)
