"""Killed between any two steps, with a sink that fails three calls in ten: nothing is lost and nothing stays undone."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alert_cases import NIGHT, alert, routes

from omgov_assets.anomaly_alert.delivery import DeliveryError, deliver_due
from omgov_assets.anomaly_alert.outbox import Message, Outbox
from omgov_assets.anomaly_alert.raising import raise_alerts
from omgov_assets.model_management.alert_routes import Delivery

ROUTES = routes(
    {"receiver": "office", "group_by": ["recipient"], "group_wait": "0s"},
    {"name": "office", "apprise_url_env": ["A", "B"]},
)
DELIVERY = Delivery(attempts=40, first_retry=timedelta(minutes=1), longest_retry=timedelta(minutes=1))
RECIPIENTS = [f"O-{number}" for number in range(4)]
ALERTS = [alert("digest", momentary=True, recipient=recipient) for recipient in RECIPIENTS]
LEASE = timedelta(minutes=1)


class FlakySink:
    """Writes what it takes to a file; fails 30 % of its calls, which ones follows from message and attempt alone."""

    def __init__(self, path: Path, step: Callable[[], None]) -> None:
        self.path = path
        self.step = step

    def __call__(self, message: Message) -> None:
        self.step()
        digest = hashlib.sha256(f"{message.key} {message.attempts}".encode()).digest()
        if digest[0] < 0.3 * 256:
            raise DeliveryError("fails now and then")
        with self.path.open("a") as file:
            file.write(f"{message.key} {message.alerts[0].labels['recipient']} {message.sink}\n")
            file.flush()
            os.fsync(file.fileno())
        self.step()


def night(folder: Path, now: datetime, step: Callable[[], None]) -> None:
    """What a night does with its alerts: raise them, send them."""
    with Outbox(folder / "outbox.db") as outbox:
        outbox.con.set_trace_callback(lambda _statement: step())
        raise_alerts(outbox, ALERTS, ROUTES, now)
        for minutes in range(1, 61):
            deliver_due(outbox, FlakySink(folder / "taken", step), DELIVERY, lambda: now + minutes * LEASE, lease=LEASE)  # noqa: B023 - called at once
            if not outbox.counts()["pending"]:
                return


def killed_at(folder: Path, last_step: int) -> bool:
    """Run a night in a process of its own that kills itself at a step; whether it got so far."""
    child = os.fork()
    if child == 0:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps == last_step:
                os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            night(folder, NIGHT, step)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def assert_nothing_is_lost(folder: Path, most_copies: int) -> None:
    with Outbox(folder / "outbox.db") as outbox:
        messages = outbox.messages()
        assert {message.state for message in messages} == {"sent"}
    taken = Counter((folder / "taken").read_text().splitlines())
    wanted = {(recipient, f"apprise:{sink}") for recipient in RECIPIENTS for sink in "AB"}
    assert {tuple(line.split()[1:]) for line in taken} == wanted
    assert {line.split()[0] for line in taken} == {message.key for message in messages}
    assert len(messages) == len(wanted), "each message once, however often the night was run"
    # Whoever died between sending and writing that down has sent once more, and nobody else.
    assert sum(taken.values()) <= len(wanted) + most_copies


def test_a_night_killed_at_any_step_and_run_again_loses_no_message(tmp_path: Path) -> None:
    step, killed = 0, True
    while killed:
        step += 1
        folder = tmp_path / str(step)
        folder.mkdir()
        killed = killed_at(folder, step)
        night(folder, NIGHT + timedelta(hours=3), lambda: None)
        assert_nothing_is_lost(folder, most_copies=1)
    assert step > 100, "the steps of SQL and of the sink are counted"


def test_a_night_killed_again_and_again_loses_no_message(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"kills drawn with seed {seed}")
    drawn = random.Random(seed)  # noqa: S311 - draws where to kill
    kills = 0
    for _ in range(25):
        kills += killed_at(tmp_path, drawn.randrange(1, 120))
        # A killed process has claimed a message: its lease ends with the next night's clock.
        with Outbox(tmp_path / "outbox.db") as outbox:
            outbox.con.execute(
                "UPDATE messages SET next_attempt = ? WHERE state = 'pending'", (NIGHT.isoformat("T", "microseconds"),)
            )
    night(tmp_path, NIGHT + timedelta(hours=3), lambda: None)
    assert_nothing_is_lost(tmp_path, most_copies=kills)


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from datetime import timedelta
from test_outbox_faults import NIGHT, night
print("ready", flush=True)
night(Path(sys.argv[1]), NIGHT, lambda: None)
"""


@pytest.mark.slow
def test_a_night_whose_process_is_killed_from_outside_loses_no_message(tmp_path: Path, project_root: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"kills drawn with seed {seed}")
    drawn = random.Random(seed)  # noqa: S311 - draws when to kill
    kills = 0
    for _ in range(4):
        paths = [str(Path(__file__).parent), str(project_root)]
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), *paths], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(drawn.uniform(0, 0.15))
        child.kill()
        child.stdout.close()
        kills += child.wait() == -signal.SIGKILL
    night(tmp_path, NIGHT + timedelta(hours=3), lambda: None)
    assert_nothing_is_lost(tmp_path, most_copies=kills)
