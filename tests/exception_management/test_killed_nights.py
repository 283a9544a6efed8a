"""A night of cases that is killed between any two steps of writing ends, run again, in what it would have been."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from case_nights import CASE_RULES, DAYS, Nights, Wrong, assert_invariants
from lower_rooms import Rooms, Row

from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.acts import Person
from omgov_assets.exception_management.night import update_cases
from omgov_assets.model_management.business_day import day_bounds

SCRIPT = Path(__file__).parent.parent / "support" / "update_killed.py"
FLAT = {"flat_line"}
# Of all steps, so many are drawn evenly: each is a process of its own.
DRAWN = 8


def update(lake: Lake, last_step: int) -> subprocess.CompletedProcess[str]:
    """Update the second day in a process that is killed at a step."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(lake.root), str(lake.dataset_contracts), DAYS[1].isoformat(), str(last_step)],
        env=os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{SCRIPT.parent}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def content(nights: Nights) -> list[list[Row]]:
    """Cases, members and log without what says how often they were written."""
    return [
        [{name: value for name, value in row.items() if name != "data_versions"} for row in rows]
        for rows in (nights.cases(), nights.members(), nights.log())
    ]


@pytest.fixture
def prepared(rooms: Rooms) -> Nights:
    """A case that somebody works on, and a second day that was written but not gone through."""
    nights = Nights(rooms, ["i0", "i1", "i2", "i3"])
    nights.govern(DAYS[0], Wrong({"i0": FLAT, "i1": FLAT}))
    seen = {row["case_id"]: row["last_event_id"] for row in nights.cases()}
    acts.acknowledge(rooms.lake, CASE_RULES, seen, Person("wang", day_bounds(DAYS[0], CASE_RULES.zone)[1]))
    nights.write(DAYS[1], Wrong({"i1": FLAT, "i2": FLAT, "i3": {"stale_instance"}}))
    return nights


def test_a_night_that_was_killed_is_the_night_it_would_have_been(prepared: Nights, tmp_path: Path) -> None:
    def copy(name: str) -> Nights:
        shutil.copytree(prepared.rooms.lake.root, tmp_path / name / "lake")
        return Nights(Rooms(Lake(tmp_path / name / "lake", prepared.rooms.lake.dataset_contracts)), prepared.instances)

    whole = copy("whole")
    done = update(whole.rooms.lake, 0)
    assert done.returncode == 0, done.stderr
    steps = int(done.stdout)
    assert steps > DRAWN
    for number in range(DRAWN):
        last = 1 + number * (steps - 1) // (DRAWN - 1)
        killed = copy(f"killed at {last}")
        assert update(killed.rooms.lake, last).returncode == -signal.SIGKILL, f"step {last} of {steps}"
        update_cases(killed.rooms.lake, DAYS[1], CASE_RULES)
        assert content(killed) == content(whole), f"killed at step {last} of {steps}"
    assert_invariants(killed)
