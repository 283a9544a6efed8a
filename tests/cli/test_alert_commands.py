"""``omgov alerts`` on a home with one night's alerts, by the real command line and with a real webhook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from webhook import posted_to

from omgov_assets.anomaly_alert.immediate import failed_run
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.raising import raise_alerts
from omgov_assets.cli import app
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.alert_routes import load_alert_routes

DAY = date(2026, 11, 20)


class Desk:
    """Runs commands on a home."""

    def __init__(self, home: Path, project: Path) -> None:
        self.settings = Settings(home, project)
        self.lake = Lake(self.settings.lake, self.settings.dataset_contracts)

    def run(self, *arguments: str, code: int = 0) -> str:
        options = ("--home", str(self.settings.home), "--project", str(self.settings.project))
        done = CliRunner().invoke(app, ["alerts", *arguments, *options])
        assert done.exit_code == code, done.output
        return done.output

    def rows(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        text = self.run(*arguments, "--format", "json", code=code)
        found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(text[text.index("[") :])[0]
        return found


@pytest.fixture
def desk(tmp_path: Path, project_root: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A home whose outbox holds the alert of a failed run; every receiver's variable is unset."""
    for receiver in load_alert_routes(project_root).receivers:
        for name in receiver.apprise_url_env:
            monkeypatch.delenv(name, raising=False)
    desk = Desk(tmp_path / "home", project_root)
    with Outbox(desk.settings.outbox) as outbox:
        alert = failed_run("nightly_governance", "run-1", DAY, None)
        raise_alerts(outbox, [alert], load_alert_routes(project_root), datetime(2026, 11, 20, 19, tzinfo=UTC))
    return desk


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    taken: list[dict[str, Any]] = []

    def answer(_path: str, body: bytes) -> tuple[int, dict[str, str]]:
        taken.append(json.loads(body))
        return 200, {}

    with posted_to(answer) as place:
        yield f"json://{place}", taken


def test_a_message_that_waits_is_sent_once_its_receiver_is_known(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (waiting,) = desk.rows("outbox", "--send")
    assert waiting["state"] == "pending"
    assert waiting["last_error"] == "OMGOV_ALERT_DATA_ENGINEERS is not set: give it a URL of apprise"
    with Outbox(desk.settings.outbox) as outbox:
        outbox.con.execute("UPDATE messages SET state = 'dead'")
    assert len(desk.rows("outbox", "--state", "dead", code=2)) == 1
    with webhook() as (url, taken):
        monkeypatch.setenv("OMGOV_ALERT_DATA_ENGINEERS", url)
        (sent,) = desk.rows("outbox", "--revive", "--send")
        assert (sent["state"], sent["last_error"]) == ("sent", None)
        assert desk.rows("outbox", "--send") == [sent], "and not again"
    assert [message["title"] for message in taken] == [sent["title"]]


def test_every_receiver_is_tried_and_the_one_that_fails_is_named(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as (url, taken):
        monkeypatch.setenv("OMGOV_ALERT_DATA_ENGINEERS", url)
        results = {row["receiver"]: row["result"] for row in desk.rows("test", code=2)}
        only = desk.rows("test", "--receiver", "data_engineers")
    assert (results["data_engineers"], results["owners"]) == ("sent", "failed")
    assert [row["result"] for row in only] == ["sent"]
    assert len(taken) == 2
    assert "no such receiver; there are data_engineers" in desk.run("test", "--receiver", "nobody", code=1)
    assert "write owner:KEY" in desk.run("test", "--recipient", "O-1", code=1)
    assert len(desk.rows("outbox")) == 1, "a test goes past the outbox"


def test_a_preview_shows_what_would_go_where_and_writes_nothing(desk: Desk) -> None:
    before = desk.settings.outbox.read_bytes()
    (heartbeat,) = desk.rows("preview", "--day", "2026-11-20")
    assert (heartbeat["receiver"], heartbeat["alerts"]) == ("governance_office", 1)
    text = desk.run("preview", "--day", "2026-11-20", "--text")
    assert "2026-11-20 治理已完成：0 条异常" in text
    assert desk.rows("preview", "--day", "2026-11-20", "--receiver", "owners") == []
    assert desk.settings.outbox.read_bytes() == before
    assert desk.lake.days("alerts/digests") == []


def test_old_messages_are_deleted_on_demand_and_dead_letters_only_where_they_are_named(desk: Desk) -> None:
    with Outbox(desk.settings.outbox) as outbox:
        outbox.con.execute("UPDATE messages SET state = 'dead', created_at = '2020-01-01T00:00:00.000000+00:00'")
    assert len(desk.rows("outbox", "--prune", code=2)) == 1
    assert "1 messages and 0 alerts older than 90 days are deleted" in desk.run("outbox", "--prune", "--dead")
    assert desk.rows("outbox") == []
    assert "--dead goes with --prune" in desk.run("outbox", "--dead", code=1)


def test_silences_are_recorded_listed_and_ended(desk: Desk) -> None:
    desk.run("silence", "add", "system=cmdb", "--author", "wang", "--reason", "move", "--for", "4h")
    (silence,) = desk.rows("silence", "list")
    assert (silence["matchers"], silence["author"], silence["reason"]) == ('system="cmdb"', "wang", "move")
    desk.run("silence", "end", silence["silence_id"], "--author", "li")
    assert desk.rows("silence", "list") == []
    assert [entry["author"] for entry in desk.rows("silence", "list", "--all")] == ["wang", "li"]
    assert "it is over since" in desk.run("silence", "end", silence["silence_id"], "--author", "li", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["system=cmdb"], "give either --for or --until"),
        (["system=cmdb", "--for", "4h", "--until", "2026-11-21"], "give either --for or --until"),
        (["system=cmdb", "--for", "soon"], "'soon' is no duration"),
        (["system=cmdb", "--until", "tomorrow"], "'tomorrow' is not a day"),
        (["system=cmdb", "--until", "2020-01-01"], "before it starts"),
        (["rack=1", "--for", "4h"], "'rack' is no label of alerts"),
        (['system=~".*"', "--for", "4h"], "this would silence everything"),
    ],
)
def test_a_silence_that_is_none_says_why(desk: Desk, arguments: list[str], words: str) -> None:
    assert words in desk.run("silence", "add", *arguments, "--author", "wang", "--reason", "move", code=1)
    assert desk.rows("silence", "list", "--all") == []


def test_a_home_without_an_outbox_says_so(tmp_path: Path, project_root: Path) -> None:
    empty = Desk(tmp_path / "empty", project_root)
    assert "the first night that is governed makes it" in empty.run("outbox", code=1)
    assert empty.rows("silence", "list") == []
    assert "no such silence" in empty.run("silence", "end", "x", "--author", "li", code=1)
    assert not empty.settings.outbox.exists()
