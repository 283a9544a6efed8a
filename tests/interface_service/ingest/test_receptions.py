"""What was acknowledged is remembered: under its key, for who pushed it, until the gate has decided."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from omgov_assets.admission.reception import Received
from omgov_assets.interface_service.ingest.receptions import (
    KeyReusedError,
    Receptions,
    ReceptionsError,
    Target,
    reception_id,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TARGET = Target("branch_monitoring", "metric_instances", date(2026, 11, 20))
OTHER = replace(TARGET, dataset="metric_definitions")
RECEIVED = Received("branch_monitoring/metric_instances/2026-11-20/received-a.csv", "a" * 64, 10, NOW)
SECOND = replace(RECEIVED, content_hash="b" * 64, file_name="branch_monitoring/b")
LEASE = timedelta(minutes=15)
ENTRY = {"decision": "partial", "rows_in": 3, "rows_quarantined": 1, "quarantine_reasons": '{"ragged_record": 1}'}


@pytest.fixture
def receptions(tmp_path: Path) -> Iterator[Receptions]:
    with Receptions(tmp_path / "ingest" / "receptions.db") as opened:
        yield opened


def test_a_reception_is_found_again_by_another_process(receptions: Receptions) -> None:
    accepted = receptions.accept("agent", TARGET, RECEIVED, NOW)
    with Receptions(receptions.path) as others:
        assert others.find(accepted.id) == accepted
    assert (accepted.state, accepted.target, accepted.batch_id) == ("received", TARGET, "a" * 16)
    assert receptions.path.stat().st_mode & 0o777 == 0o600


def test_the_same_bytes_for_the_same_target_are_one_reception_of_all_who_pushed_them(receptions: Receptions) -> None:
    first = receptions.accept("agent", TARGET, RECEIVED, NOW)
    later = replace(RECEIVED, received_at=NOW + timedelta(hours=1))
    assert receptions.accept("operator", TARGET, later, NOW + timedelta(hours=1)) == first
    assert receptions.backlog() == 1
    assert all(receptions.is_sender(first.id, one) for one in ("agent", "operator"))
    assert not receptions.is_sender(first.id, "somebody")
    assert receptions.accept("agent", OTHER, RECEIVED, NOW).id != first.id


def test_a_key_stands_for_one_push_of_one_principal(receptions: Receptions) -> None:
    assert not receptions.bind_key("agent", "k1", TARGET, "a" * 64, NOW)
    assert receptions.bind_key("agent", "k1", TARGET, "a" * 64, NOW)
    assert not receptions.bind_key("operator", "k1", OTHER, "b" * 64, NOW)
    for target, digest in ((TARGET, "b" * 64), (OTHER, "a" * 64), (replace(TARGET, day=date(2026, 11, 19)), "a" * 64)):
        with pytest.raises(KeyReusedError):
            receptions.bind_key("agent", "k1", target, digest, NOW)
    receptions.require_key_for("agent", "k1", TARGET)
    with pytest.raises(KeyReusedError):
        receptions.require_key_for("agent", "k1", OTHER)


def test_a_key_is_kept_for_a_week_and_then_forgotten(receptions: Receptions) -> None:
    receptions.bind_key("agent", "k1", TARGET, "a" * 64, NOW)
    receptions.prune(NOW + timedelta(days=7, hours=1))
    assert receptions.bind_key("agent", "k1", TARGET, "a" * 64, NOW)
    receptions.prune(NOW + timedelta(days=9))
    assert not receptions.bind_key("agent", "k1", OTHER, "b" * 64, NOW)


def test_no_text_of_a_stranger_is_stored(receptions: Receptions) -> None:
    receptions.bind_key("agent", "wang.fang@example.com", TARGET, "a" * 64, NOW)
    con = sqlite3.connect(receptions.path)
    assert "example.com" not in "\n".join(con.iterdump())
    con.close()


def test_all_that_waits_for_one_target_is_begun_together_and_once(receptions: Receptions) -> None:
    for target, received in ((TARGET, RECEIVED), (OTHER, RECEIVED), (TARGET, SECOND)):
        receptions.accept("agent", target, received, NOW)
    begun = receptions.begin(NOW, LEASE)
    assert {one.target for one in begun} == {TARGET}
    assert [one.attempts for one in begun] == [1, 1]
    assert [one.target for one in receptions.begin(NOW, LEASE)] == [OTHER]
    assert receptions.begin(NOW, LEASE) == []
    # Nobody said what became of them.
    assert len(receptions.begin(NOW + LEASE, LEASE)) == 2


def test_what_was_decided_is_told_and_waits_no_more(receptions: Receptions) -> None:
    accepted = receptions.accept("agent", TARGET, RECEIVED, NOW)
    receptions.decide(accepted.id, ENTRY, NOW)
    found = receptions.find(accepted.id)
    assert found is not None
    assert (found.state, found.entry["rows_in"], found.entry["quarantine_reasons"]) == (
        "partial", 3, {"ragged_record": 1},
    )  # fmt: skip
    assert receptions.backlog() == 0
    assert receptions.accept("agent", TARGET, RECEIVED, NOW).state == "partial"


def test_what_failed_for_good_waits_no_more_until_it_is_pushed_again(receptions: Receptions) -> None:
    accepted = receptions.accept("agent", TARGET, RECEIVED, NOW)
    receptions.begin(NOW, LEASE)
    receptions.postpone(accepted.id, "OSError", NOW + timedelta(seconds=2))
    assert receptions.begin(NOW, LEASE) == []
    [begun] = receptions.begin(NOW + timedelta(seconds=2), LEASE)
    receptions.postpone(begun.id, "OSError", None)
    found = receptions.find(begun.id)
    assert found is not None
    assert (found.state, found.attempts, found.last_error) == ("failed", 2, "OSError")
    again = receptions.accept("agent", TARGET, RECEIVED, NOW)
    assert (again.state, again.attempts) == ("received", 0)


def test_after_a_restart_nothing_waits_for_what_a_killed_process_had_begun(receptions: Receptions) -> None:
    receptions.accept("agent", TARGET, RECEIVED, NOW)
    receptions.begin(NOW, LEASE)
    assert receptions.resume(NOW) == 1
    assert len(receptions.begin(NOW, LEASE)) == 1


def test_a_file_of_another_version_is_left_alone(receptions: Receptions) -> None:
    con = sqlite3.connect(receptions.path)
    con.execute("PRAGMA user_version = 99")
    con.close()
    with pytest.raises(ReceptionsError, match="version 99"):
        Receptions(receptions.path)


def test_the_name_of_a_reception_tells_targets_apart() -> None:
    assert len({reception_id(target, digest) for target in (TARGET, OTHER) for digest in ("a", "b")}) == 4
