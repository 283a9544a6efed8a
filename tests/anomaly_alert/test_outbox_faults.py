"""Killed between any two steps, with a sink that fails three calls in ten: nothing is lost and nothing stays undone."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alert_cases import DAY, NIGHT, alert, routes
from killed import killed_at as was_killed_at
from night_lake import NightLake
from webhook import posted_to

from omgov_assets.anomaly_alert.delivery import DeliveryError, deliver_due
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Message, Outbox
from omgov_assets.anomaly_alert.raising import raise_alerts
from omgov_assets.anomaly_alert.transports import Transports
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.alert_routes import AlertRoutes, Delivery
from omgov_assets.model_management.governance import load_governance

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
    return was_killed_at(last_step, lambda step: night(folder, NIGHT, step))


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


# What a process of its own imports from.
FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

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
        paths = [*FOLDERS, str(project_root)]
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path), *paths], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(drawn.uniform(0, 0.15))
        child.kill()
        child.stdout.close()
        kills += child.wait() == -signal.SIGKILL
    night(tmp_path, NIGHT + timedelta(hours=3), lambda: None)
    assert_nothing_is_lost(tmp_path, most_copies=kills)


WHOLE_NIGHT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[5:]
from test_outbox_faults import whole_night
whole_night(Path(sys.argv[1]), Path(sys.argv[-1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
"""
ROUNDS = 3


def whole_night(home: Path, project: Path, url: str, run: int, last_step: int) -> None:
    """What the asset does in a night, with the real lake, outbox, apprise and webhook.

    A step is a call that code of omgov makes, or its return. At the last one the process kills itself; at 0 it does
    not, and prints how many steps it took until all was in the outbox, and in all.
    """
    governance = load_governance(project)
    told = AlertRoutes.model_validate(
        {
            "route": {"receiver": "all", "group_by": ["alertname", "day", "recipient"], "group_wait": "0s"},
            "receivers": [{"name": "all", "apprise_url_env": ["URL"]}],
            "digests": {"most_messages_share": 1},
        }
    )
    governance = governance.model_copy(update={"alerts": told})
    lake = Lake(home / "lake", dataset_contracts=project / "governance" / "standard" / "data_contracts")
    steps = 0

    def count(frame: object, _event: str, _argument: object) -> None:
        nonlocal steps
        if "/omgov_assets/" in frame.f_code.co_filename:  # type: ignore[attr-defined]
            steps += 1
            if steps == last_step:
                os.kill(os.getpid(), signal.SIGKILL)

    now = NIGHT + timedelta(hours=3 * run)
    transports = Transports({"URL": url})
    sys.setprofile(count)
    with Outbox(home / "outbox.db") as outbox:
        tell_of_night(lake, governance, home / "report", outbox, DAY, now)
        told_at = steps
        for minutes in range(1, 61):
            deliver_due(outbox, transports.send, DELIVERY, lambda: now + minutes * LEASE, lease=LEASE)  # noqa: B023 - called at once
            if not outbox.counts()["pending"]:
                break
    sys.setprofile(None)
    print(told_at, steps)


@contextmanager
def failing_webhook(drawn: random.Random) -> Iterator[tuple[str, list[str]]]:
    """A webhook that fails 30 % of the calls; its URL for apprise, and the texts that it took."""
    taken: list[str] = []

    def answer(_path: str, body: bytes) -> tuple[int, dict[str, str]]:
        if drawn.random() < 0.3:
            return 503, {}
        taken.append(json.loads(body)["message"])
        return 200, {}

    with posted_to(answer) as place:
        yield f"json://{place}", taken


@pytest.mark.slow
@pytest.mark.long
def test_a_whole_night_killed_between_any_two_steps_loses_no_digest(
    rooms: NightLake, project_root: Path, tmp_path: Path
) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies(
        [{"owner_id": f"O-{1 + number % 2}", "support_group_id": f"G-{1 + number % 2}"} for number in range(40)]
        + [{"anomaly_type": "nobodys"} for _ in range(5)]
    )
    rooms.update_cases()
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"kills and failures drawn with seed {seed}")
    drawn = random.Random(seed)  # noqa: S311 - draws when to kill and what fails

    def run(home: Path, url: str, number: int, last_step: int) -> list[int] | None:
        """Steps of the run, until all was in the outbox and in all; None where it was killed."""
        arguments = [str(home), url, str(number), str(last_step), *FOLDERS, str(project_root)]
        command = [sys.executable, "-c", WHOLE_NIGHT, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == -signal.SIGKILL:
            return None
        assert done.returncode == 0, done.stderr
        return [int(step) for step in done.stdout.splitlines()[-1].split()]

    with failing_webhook(random.Random(seed)) as (url, taken):  # noqa: S311 - as above
        steps: list[int] | None = None
        killed = 0
        for number in range(ROUNDS + 1):
            home = tmp_path / f"home-{number}"
            shutil.copytree(rooms.lake.root, home / "lake")
            taken.clear()
            kills = 0
            if steps is not None:
                # Once while the night is told, once while its messages are sent.
                for attempt, (first, last) in enumerate([(1, steps[0]), (steps[0], steps[1])]):
                    kills += run(home, url, attempt, drawn.randrange(first, last)) is None
            whole = run(home, url, 2, 0)
            steps, killed = steps or whole, killed + kills
            lake = Lake(home / "lake", dataset_contracts=rooms.lake.dataset_contracts)
            with lake.connect() as con:
                lake.register(con, "digests", "alerts/digests", DAY)
                rows = con.execute("SELECT summary_en FROM digests WHERE told").fetchall()
            summaries = [summary for (summary,) in rows]
            assert len(summaries) == 5, "two owners, two groups, the office"
            for summary in summaries:
                assert any(text.startswith(f"{summary}\n") for text in taken), summary
            with Outbox(home / "outbox.db") as outbox:
                assert outbox.counts() == {"pending": 0, "sent": 6, "dead": 0}, "each once, and the heartbeat"
                keys = {message.key for message in outbox.messages()}
            assert {text.split()[-1] for text in taken} == keys
            assert len(taken) <= len(keys) + kills, "who died between sending and writing it down has sent once more"
        assert killed >= ROUNDS, "the first kill of each round comes before there is anything to send"
