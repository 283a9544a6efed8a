"""A night's work on the audit: entries move, the chain is gone along and anchored, and nothing stops the night."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit_cases import NOON, Home

from omgov_assets.access_control.audit_anchor import KEY_VARIABLE, read_anchors
from omgov_assets.access_control.audit_lake import AUDIT
from omgov_assets.access_control.audit_log import log_path
from omgov_assets.access_control.audit_night import ANCHORS_VARIABLE, AuditNight, work_on_audit
from omgov_assets.data_lake import lake as lake_module

KEY = "k" * 32


def work(home: Home, **environment: str) -> AuditNight:
    lake_module._handles.clear()
    return work_on_audit(home.lake, home.audit, environment, NOON)


@pytest.fixture
def anchors(tmp_path: Path) -> dict[str, str]:
    return {ANCHORS_VARIABLE: str(tmp_path / "elsewhere" / "anchors"), KEY_VARIABLE: KEY}


def test_a_home_without_an_audit_stays_without_one(home: Home, anchors: dict[str, str]) -> None:
    night = work(home, **anchors)
    assert (night.moved, night.verification.seq, night.verification.findings) == (0, 0, ())
    assert not home.audit.exists()
    assert home.lake.version(AUDIT) is None
    assert not Path(anchors[ANCHORS_VARIABLE]).exists()


def test_entries_move_once_and_their_head_is_anchored(home: Home, anchors: dict[str, str]) -> None:
    home.record(0, 4)
    assert [work(home, **anchors).moved for _ in range(2)] == [5, 0]
    night = work(home, **anchors)
    assert (night.verification.in_lake, night.verification.in_log, night.verification.findings) == (5, 0, ())
    read = read_anchors(Path(anchors[ANCHORS_VARIABLE]), KEY.encode())
    assert (dict(read.known), read.findings) == ({5: night.verification.hash}, ())


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, f"{ANCHORS_VARIABLE} names no file"),
        ({ANCHORS_VARIABLE: "anchors"}, "must hold the key"),
        ({ANCHORS_VARIABLE: "anchors", KEY_VARIABLE: "short"}, "must hold the key"),
    ],
)
def test_without_a_file_or_a_key_nothing_is_anchored(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    home.record(0, 1)
    night = work(home, **environment)
    assert said in night.anchored
    assert night.verification.findings == ()
    assert not (tmp_path / "anchors").exists()


def test_a_log_that_is_gone_is_a_finding_and_no_failure(home: Home, anchors: dict[str, str]) -> None:
    home.record(0, 3)
    work(home, **anchors)
    log_path(home.audit).unlink()
    night = work(home, **anchors)
    assert night.moved == 0
    assert {(found.place, found.fault) for found in night.verification.findings} >= {("log", "missing")}
    assert night.anchored == "not anchored: the chain is not whole"
    assert len(Path(anchors[ANCHORS_VARIABLE]).read_text().splitlines()) == 1


def test_an_audit_that_was_deleted_with_all_beside_it_is_found_by_its_anchors(
    home: Home, anchors: dict[str, str]
) -> None:
    home.record(0, 3)
    work(home, **anchors)
    for path in sorted([*home.audit.rglob("*"), *(home.lake.root / AUDIT).rglob("*")], reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for path in (home.audit, home.lake.root / AUDIT):
        path.rmdir()
    assert [found.fault for found in work(home, **anchors).verification.findings] == ["truncated"]


def test_a_place_for_anchors_that_cannot_be_written_is_a_finding(home: Home, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    home.record(0, 1)
    night = work(home, **{ANCHORS_VARIABLE: str(tmp_path / "file" / "anchors"), KEY_VARIABLE: KEY})
    assert night.moved == 2
    (found,) = night.verification.findings
    assert found.place == "anchor"
    assert "cannot be written" in found.explanation


def test_anchors_that_cannot_be_read_are_a_finding(home: Home, anchors: dict[str, str]) -> None:
    home.record(0, 1)
    work(home, **anchors)
    night = work(home, **{ANCHORS_VARIABLE: anchors[ANCHORS_VARIABLE]})
    assert [(found.place, found.fault) for found in night.verification.findings] == [("anchor", "unreadable")]
