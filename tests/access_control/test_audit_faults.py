"""Killed between any two steps: what was acknowledged is on record, once, and the chain is whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_cases import Home, decision
from killed import killed_at

from omgov_assets.access_control.audit_lake import store_entries
from omgov_assets.access_control.audit_verify import verify


def record_some(home: Home, left: Path, step: Callable[[], None]) -> None:
    """Record decisions; what is permitted leaves: its number gets into a file."""
    with home.log() as log:
        log.con.set_trace_callback(lambda _statement: step())
        for number in range(0, 8, 2):
            with log.decision(decision(number)) as entry:
                step()
                with left.open("a") as file:
                    file.write(f"{entry.seq} {entry.hash}\n")


def test_whatever_left_is_on_record_when_the_recording_process_was_killed(home: Home, tmp_path: Path) -> None:
    step, killed = 0, True
    while killed:
        step += 1
        shutil.rmtree(home.settings.home, ignore_errors=True)
        left = tmp_path / f"left-{step}"
        left.touch()
        killed = killed_at(step, lambda count: record_some(home, left, count))  # noqa: B023 - called at once
        known = {int(seq): hashed for seq, hashed in map(str.split, left.read_text().splitlines())}
        assert home.faults(known) == []
        assert len(home.entries()) - len(known) in ((0, 1) if killed else (0,))
        record_some(home, left, lambda: None)
        assert home.faults(known) == []
    assert step > 20, "the steps of SQL are counted"


STORE = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from audit_cases import Home
home, last, steps = Home(Path(sys.argv[1]), Path(sys.argv[4])), int(sys.argv[2]), 0

def count(frame, event, _):
    global steps
    wanted = {"append", "sync_commit", "mark_stored", "_create", "fsync", "sqlite_transaction", "entries"}
    if event in ("call", "return") and frame.f_code.co_name in wanted and "omgov_assets" in frame.f_code.co_filename:
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.setprofile(count)
home.store(batch_entries=3)
sys.setprofile(None)
print(steps)
"""


def store(home: Home, project: Path, last_step: int) -> int | None:
    """Move entries into the lake in a process that is killed at a step; steps in all, None where it was killed."""
    paths = [str(Path(__file__).parent), str(project)]
    command = [sys.executable, "-c", STORE, str(home.settings.home), str(last_step), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode in (0, -9), done.stderr
    return int(done.stdout) if done.returncode == 0 else None


def test_verifying_finds_nothing_wrong_while_decisions_are_recorded_and_moved(home: Home) -> None:
    home.record(0, 0)
    failures: list[BaseException] = []
    is_over = threading.Event()

    def work() -> None:
        try:
            with home.log() as log:
                for number in range(300):
                    log.record(decision(number))
                    if number % 40 == 39:
                        store_entries(home.lake, log, batch_entries=15)
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            is_over.set()

    thread = threading.Thread(target=work)
    thread.start()
    seen = []
    while not is_over.is_set():
        verification = verify(home.lake, home.audit)
        assert verification.findings == ()
        seen.append(verification.seq)
    thread.join()
    assert failures == []
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert home.verify().seq == 301


@pytest.mark.slow
def test_a_move_that_was_killed_is_the_move_it_would_have_been(home: Home, project_root: Path, tmp_path: Path) -> None:
    recorded = home.record(0, 6)
    shutil.copytree(home.settings.home, tmp_path / "before")
    steps = store(home, project_root, 0)
    assert steps is not None
    assert steps > 40
    # Each is a process of its own: of all steps, some are drawn evenly.
    for last in range(1, steps, max(1, steps // 20)):
        shutil.rmtree(home.settings.home)
        shutil.copytree(tmp_path / "before", home.settings.home)
        assert store(home, project_root, last) is None
        assert home.faults() == [], "a move that was interrupted is no fault"
        with home.log() as log:
            store_entries(home.lake, log, batch_entries=3)
            assert log.entries() == []
        assert home.faults() == []
        assert home.entries() == recorded, last
