"""The audit log: durable before anybody acts, in one chain, or an error and no data."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from audit_cases import NOON, Home, decision
from hypothesis import given, settings
from hypothesis import strategies as st

from omgov_assets.access_control.audit_chain import GENESIS, Decision, chained
from omgov_assets.access_control.audit_lake import entries_in_lake, recover, store_entries
from omgov_assets.access_control.audit_log import (
    AuditLog,
    AuditUnavailableError,
    ClockSetBackError,
    DeniedError,
)


def test_permissions_and_denials_are_on_record_with_all_that_was_decided(home: Home) -> None:
    home.record(0, 1)
    allowed, denied = (entry.fields for entry in home.entries())
    assert allowed == {
        "at": "2026-11-20T12:00:00.000000+00:00",
        "principal": "consumer-0",
        "purpose": None,
        "dataset": "quality/anomalies",
        "version": 4,
        "columns": ["day", "anomaly_id", "owner_id"],
        "rows": "support_group_id = 'G-1'",
        "row_count": 100,
        "masks": '{"owner_id":"hmac"}',
        "policy_hash": "0123456789abcdef",
        "decision": "allow",
        "reason": "permit: readers_of_quality",
    }
    assert (denied["decision"], denied["reason"], denied["columns"]) == ("deny", "no policy permits it", [])


def test_what_is_recorded_is_the_same_in_the_lake(home: Home) -> None:
    recorded = home.record(0, 20)
    assert home.store(batch_entries=8) == 21
    assert [entry for _, entry in entries_in_lake(home.lake)] == recorded
    with home.log() as log:
        assert log.entries() == []
        assert log.head() == (21, recorded[-1].hash)
    assert home.record(21, 21)[0].previous_hash == recorded[-1].hash
    assert home.verify().findings == ()


def test_decisions_of_two_days_lie_in_two_partitions(home: Home) -> None:
    with home.log() as log:
        for hours in (0, 11, 12, 13, 30):
            log.record(decision(0, NOON + timedelta(hours=hours)))
    home.store()
    assert [day.isoformat() for day in home.lake.days("audit/access")] == ["2026-11-20", "2026-11-21"]
    assert home.verify().findings == ()


def test_data_leaves_only_where_the_decision_is_a_permission(home: Home) -> None:
    left = []
    with home.log() as log:
        with log.decision(decision(0)) as entry:
            left.append(entry.seq)
        with pytest.raises(DeniedError, match="no policy permits it"), log.decision(decision(1)) as entry:
            left.append(entry.seq)
    assert left == [1]
    assert [entry.fields["decision"] for entry in home.entries()] == ["allow", "deny"]


def test_many_threads_make_one_chain_and_share_commits(home: Home) -> None:
    commits: list[str] = []
    with home.log() as log:
        log.con.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        entries: list[int] = []

        def work(thread: int) -> None:
            for number in range(50):
                entries.append(log.record(decision(number, principal=f"thread-{thread}")).seq)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(entries) == list(range(1, 401))
    assert len(commits) < 400
    assert home.verify().findings == ()
    assert home.verify().in_log == 400


WORK = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from audit_cases import Home, decision
with Home(Path(sys.argv[1]), Path(sys.argv[4])).log() as log:
    for number in range(40):
        log.record(decision(number, principal=sys.argv[2]))
"""


def test_processes_make_one_chain(home: Home, project_root: Path) -> None:
    arguments = [str(Path(__file__).parent), str(project_root)]
    children = [
        subprocess.Popen([sys.executable, "-c", WORK, str(home.settings.home), f"process-{number}", *arguments])
        for number in range(3)
    ]
    assert [child.wait(120) for child in children] == [0, 0, 0]
    assert home.verify().findings == ()
    assert home.verify().seq == 120


def test_nothing_leaves_where_the_disk_is_full(home: Home) -> None:
    left = 0
    with home.log() as log:
        ((pages,),) = log.con.execute("PRAGMA page_count").fetchall()
        log.con.execute(f"PRAGMA max_page_count = {pages + 3}").fetchall()
        said = ""
        for number in range(200):
            try:
                with log.decision(decision(2 * number)):
                    left += 1
            except AuditUnavailableError as error:
                said = str(error)
                break
        assert "without the audit no data leaves" in said
        recorded = len(log.entries())
        log.con.execute("PRAGMA max_page_count = 100000").fetchall()
        log.record(decision(0, NOON + timedelta(days=1)))
    assert left == recorded
    assert home.verify().findings == ()


def test_nothing_leaves_where_no_more_can_be_written(home: Home) -> None:
    """A real write error: the kernel refuses to let the files grow."""
    home.record(0, 0)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            with home.log() as log:
                resource.setrlimit(resource.RLIMIT_FSIZE, (24_000, 24_000))
                try:
                    for number in range(500):
                        log.record(decision(2 * number))
                except AuditUnavailableError:
                    code = 0
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert home.verify().findings == ()


def test_nothing_leaves_while_somebody_else_holds_the_log(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omgov_assets.access_control.audit_log._LONGEST_WAIT_S", 0.05)
    with home.log() as log, sqlite3.connect(log.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(AuditUnavailableError, match="locked"):
            log.record(decision(0))
        other.execute("ROLLBACK")
        assert log.record(decision(0)).seq == 1
    other.close()


@pytest.mark.parametrize("damage", [b"not a database at all, but long enough to be read as one" * 100, b"x"])
def test_a_damaged_log_opens_nothing(home: Home, damage: bytes) -> None:
    home.record(0, 3)
    (home.audit / "audit.db").write_bytes(damage)
    with pytest.raises(AuditUnavailableError):
        home.log()


# Of a home of which nothing at all is left, only anchors know.
@pytest.mark.parametrize(
    ("lost", "is_stored"), [("file", True), ("file", False), ("content", True), ("content", False), ("folder", True)]
)
def test_a_lost_log_never_begins_anew_by_itself(home: Home, lost: str, is_stored: bool) -> None:
    home.record(0, 5)
    if is_stored:
        home.store()
    home.record(6, 8)
    if lost == "content":
        (home.audit / "audit.db").write_bytes(b"")
    else:
        (home.audit / "audit.db").unlink()
        if lost == "folder":
            (home.audit / "head").unlink()
            home.audit.rmdir()
    with pytest.raises(AuditUnavailableError, match="recover"):
        home.log()
    assert home.faults()
    with recover(home.lake, home.audit, NOON, "an-li", "disk broke") as log:
        assert log.entries()[0].seq == (7 if is_stored else 1)
        assert log.entries()[0].fields["decision"] == "notice"
    assert home.verify().findings == ()
    with pytest.raises(AuditUnavailableError, match="move it away first"):
        recover(home.lake, home.audit, NOON, "an-li", "again")


def test_a_log_of_another_version_is_refused(home: Home) -> None:
    with home.log() as log:
        log.con.execute("PRAGMA user_version = 9")
    with pytest.raises(AuditUnavailableError, match="version 9"):
        home.log()


def test_a_forked_process_does_not_write_through_its_parents_connection(home: Home) -> None:
    with home.log() as log:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                log.record(decision(0))
            except AuditUnavailableError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert log.record(decision(0)).seq == 1


def test_a_clock_that_was_set_back_permits_nothing_until_a_person_says_so(home: Home) -> None:
    with home.log() as log:
        log.record(decision(0))
        log.record(decision(0, NOON - timedelta(seconds=30)))
        back = NOON - timedelta(hours=1)
        with pytest.raises(ClockSetBackError, match="the clock was set back"):
            log.record(decision(0, back))
        last = log.entries()[-1].fields
        assert (last["decision"], last["columns"], last["rows"], last["masks"]) == ("deny", [], "none", "{}")
        assert "the clock was set back" in last["reason"]
        log.record(decision(1, back))
    with home.log() as log:
        with pytest.raises(ClockSetBackError):
            log.record(decision(0, back + timedelta(seconds=1)))
        log.accept_clock(back, "an-li", "the time server was an hour ahead")
        assert log.record(decision(0, back)).seq == 7
    assert home.verify().findings == ()


def test_a_clock_that_somebody_accepted_counts_for_every_process(home: Home) -> None:
    back = NOON - timedelta(hours=1)
    with home.log() as running, home.log() as other:
        running.record(decision(0))
        with pytest.raises(ClockSetBackError):
            running.record(decision(0, back))
        other.accept_clock(back, "an-li", "the time server was an hour ahead")
        running.record(decision(0, back))


def test_entries_are_neither_changed_nor_deleted_by_sql(home: Home) -> None:
    home.record(0, 2)
    with home.log() as log:
        for statement in ("UPDATE entries SET content = ''", "DELETE FROM entries", "UPDATE stored SET seq = -1"):
            with pytest.raises(sqlite3.IntegrityError):
                log.con.execute(statement)


def test_an_entry_that_was_tampered_with_does_not_get_into_the_lake(home: Home) -> None:
    home.record(0, 4)
    with home.log() as log:
        log.con.execute("DROP TRIGGER an_entry_never_changes")
        log.con.execute("UPDATE entries SET content = replace(content, 'consumer-2', 'consumer-3') WHERE seq = 3")
        with pytest.raises(AuditUnavailableError, match="entry 3 is not what was written"):
            store_entries(home.lake, log)
    assert home.lake.version("audit/access") is None


TEXTS = st.text(max_size=60) | st.just("长" * 700) | st.text(st.characters(categories=["Cs", "Cc", "L"]), max_size=20)


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=6, max_size=6),
    columns=st.lists(TEXTS, max_size=4),
    masks=st.dictionaries(TEXTS, TEXTS, max_size=3),
    seconds=st.integers(0, 10**9),
    count=st.none() | st.integers(0, 2**62),
)
def test_any_request_can_be_recorded_and_read_back_from_the_lake(
    tmp_path_factory: pytest.TempPathFactory,
    project_root: Path,
    texts: list[str],
    columns: list[str],
    masks: dict[str, str],
    seconds: int,
    count: int | None,
) -> None:
    home = Home(tmp_path_factory.mktemp("home"), project_root)
    principal, purpose, dataset, rows, reason, policy_hash = texts
    at = NOON + timedelta(seconds=seconds, microseconds=(count or 0) % 10**6)
    odd = Decision(
        at, principal, dataset, "deny", reason, policy_hash, purpose, count, tuple(columns), masks, rows, count
    )
    with home.log() as log:
        recorded = log.record(odd)
    home.store()
    assert home.verify().findings == ()
    assert home.entries() == [recorded]


@pytest.mark.parametrize(
    "personal",
    ["wang.li@example.com", "13812345678", "138 1234 5678", "+86 138-1234-5678", "+49 170 1234567", "010-12345678"],
)
def test_no_personal_data_but_the_principal_gets_on_record(personal: str) -> None:
    said = f"asked for owner {personal}, please"
    recorded = Decision(
        NOON,
        "li.na@example.com",
        f"cmdb/{personal}",
        "deny",
        said,
        "h",
        said,
        None,
        (personal,),
        {personal: said},
        said,
    )
    content = chained(1, GENESIS, recorded.fields()).content
    assert personal not in content
    assert personal[-6:] not in content.replace("li.na@example.com", "")
    assert json.loads(content)["principal"] == "li.na@example.com"


def test_hashes_and_dates_are_no_personal_data() -> None:
    reason = "expired 2026-11-20T18:04:46+00:00, policy 13812345678abcdef, version 12345, 2026-11-20"
    assert decision(0, reason=reason).reason == reason


def test_a_decision_without_a_time_zone_or_with_another_outcome_is_none() -> None:
    with pytest.raises(ValueError, match="time zone"):
        decision(0, NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="no outcome"):
        decision(0, decision="maybe")


def test_an_interrupted_writer_lets_nobody_believe_that_it_wrote(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with home.log() as log:

        def interrupted(self: AuditLog, batch: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(AuditLog, "_commit", interrupted)
            with pytest.raises(KeyboardInterrupt):
                log.record(decision(0))
        assert log.record(decision(0)).seq == 1


def test_a_log_says_whether_it_can_be_written(home: Home) -> None:
    with home.log() as log:
        log.require_writable()
        log.con.execute("PRAGMA query_only = ON")
        with pytest.raises(AuditUnavailableError, match="no data leaves"):
            log.require_writable()
        log.con.execute("PRAGMA query_only = OFF")
        log.require_writable()
        assert log.entries() == []


def test_a_log_without_room_is_not_writable(home: Home) -> None:
    with home.log() as log:
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, unlimited[1]))
        try:
            with pytest.raises(AuditUnavailableError, match="no data leaves"):
                log.require_writable()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        log.require_writable()
