"""Transports against a real mail server, a real webhook and a real Alertmanager."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from alert_cases import DAY, NIGHT, alert
from webhook import posted_to

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.delivery import DeliveryError
from omgov_assets.anomaly_alert.outbox import Message
from omgov_assets.anomaly_alert.rendering import MOST_ALERTS, text_of, title_of
from omgov_assets.anomaly_alert.transports import Transports

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def message(sink: str, *alerts: Alert) -> Message:
    return Message("key-1", "office", sink, alerts, 1, NIGHT, "pending", None, NIGHT, None)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Mailbox(MessageHandler):
    """Keeps the mails that a server took."""

    def __init__(self) -> None:
        super().__init__(EmailMessage)
        self.mails: list[EmailMessage] = []

    def prepare_message(self, session: Any, envelope: Any) -> EmailMessage:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        mail["X-RcptTo"] = ", ".join(envelope.rcpt_tos)
        return mail  # type: ignore[return-value]

    def handle_message(self, message: EmailMessage) -> None:
        self.mails.append(message)


@contextmanager
def mail_server(port: int) -> Iterator[Mailbox]:
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    try:
        yield mailbox
    finally:
        server.stop()


@contextmanager
def web_server(status: int = 200, location: str | None = None) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    taken: list[tuple[str, bytes]] = []

    def answer(path: str, body: bytes) -> tuple[int, dict[str, str]]:
        taken.append((path, body))
        return status, {"Location": location} if location else {}

    with posted_to(answer) as place:
        yield place, taken


def text_in(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


DIGEST = alert("digest", momentary=True, recipient_kind="owner", recipient="O-7", day="2026-11-20")


def test_a_digest_reaches_its_owners_mailbox_in_both_languages() -> None:
    port = free_port()
    url = f"mailto://127.0.0.1:{port}?from=omgov@example.com&to={{email}}&mode=insecure"
    transports = Transports({"OWNERS": url}, lambda kind, key: f"{kind}.{key}@example.com")
    with mail_server(port) as mailbox:
        transports.send(message("apprise:OWNERS", DIGEST))
        (mail,) = mailbox.mails
    assert mail["X-RcptTo"] == "owner.O-7@example.com"
    assert DIGEST.text("summary", "zh") in mail["Subject"]
    text = text_in(mail)
    for language in ("en", "zh"):
        assert DIGEST.text("description", language) in text
    assert "omgov key-1" in text


def test_a_mail_server_that_is_down_is_an_error_without_the_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    url = f"mailto://robot:hunter2@127.0.0.1:{free_port()}?from=omgov@example.com&to=a@example.com&mode=insecure"
    with pytest.raises(DeliveryError, match="OFFICE: apprise could not deliver") as raised:
        Transports({"OFFICE": url}).send(message("apprise:OFFICE", DIGEST))
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in caplog.text


def test_a_webhook_gets_title_and_text() -> None:
    with web_server() as (place, taken):
        Transports({"HOOK": f"json://{place}/alerts"}).send(message("apprise:HOOK", alert(system="a")))
    ((path, body),) = taken
    document = json.loads(body)
    assert path.startswith("/alerts")
    assert document["title"] == title_of([alert(system="a")])
    assert document["message"].strip() == text_of([alert(system="a")], "key-1").strip()


@pytest.mark.parametrize("status", [400, 401, 500, 503])
def test_a_webhook_that_refuses_is_an_error(status: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    with web_server(status) as (place, taken), pytest.raises(DeliveryError, match="could not deliver"):
        Transports({"HOOK": f"json://robot:hunter2@{place}/token-hunter3"}).send(message("apprise:HOOK", alert()))
    assert taken
    assert not {"hunter2", "hunter3"} & set(caplog.text.split("-"))
    assert "apprise" not in {record.name for record in caplog.records}


@pytest.mark.parametrize(
    ("environment", "alerts", "words"),
    [
        ({}, [DIGEST], "OWNERS is not set"),
        ({"OWNERS": "  "}, [DIGEST], "OWNERS is not set"),
        ({"OWNERS": "nonsense hunter2"}, [DIGEST], "OWNERS holds no URL that apprise understands"),
        ({"OWNERS": "mailto://hunter2?to={email}"}, [DIGEST], "the CMDB knows no address of owner O-7"),
        ({"OWNERS": "json://h/{password}"}, [DIGEST], "has the placeholder {password}"),
        ({"OWNERS": "json://h/{recipient}"}, [alert()], "is not for one recipient"),
        ({"OWNERS": "json://h/{recipient}"}, [DIGEST, alert("digest", recipient_kind="owner", recipient="O-8")], "one"),
    ],
)
def test_a_url_that_cannot_be_used_says_why(environment: dict[str, str], alerts: list[Alert], words: str) -> None:
    with pytest.raises(DeliveryError) as raised:
        Transports(environment).send(message("apprise:OWNERS", *alerts))
    assert words in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_what_stands_in_for_a_recipient_cannot_change_the_url() -> None:
    strange = alert("digest", recipient_kind="owner", recipient="x?to=evil@example.com&a=/../b")
    url = Transports({"OWNERS": "json://host/{recipient}"}).apprise_url("OWNERS", [strange])
    assert url == "json://host/x%3Fto%3Devil@example.com%26a%3D%2F..%2Fb"


@pytest.mark.parametrize(("status", "location"), [(400, None), (500, None), (302, "http://127.0.0.1:1/"), (204, None)])
def test_who_is_no_alertmanager_is_an_error(status: int, location: str | None) -> None:
    with web_server(status, location) as (place, _), pytest.raises(DeliveryError, match=f"HTTP status {status}"):
        Transports({}).send(message(f"alertmanager:http://{place}", alert()))


def test_an_alertmanager_that_is_down_is_an_error() -> None:
    with pytest.raises(DeliveryError, match="cannot be reached"):
        Transports({}).send(message(f"alertmanager:http://127.0.0.1:{free_port()}", alert()))


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """A real Alertmanager, and what it is called."""
    if ALERTMANAGER is None:
        pytest.skip("no Alertmanager is installed (Debian: prometheus-alertmanager)")
    (tmp_path / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    port = free_port()
    process = subprocess.Popen(
        [
            ALERTMANAGER, f"--config.file={tmp_path / 'alertmanager.yml'}", f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"{url}/-/ready", timeout=5):  # noqa: S310 - its own address
                    break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the Alertmanager did not become ready")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def held_by(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=10) as answer:  # noqa: S310 - as above
        found: list[dict[str, Any]] = json.load(answer)
    return found


def test_a_real_alertmanager_takes_alerts_and_their_end(alertmanager: str) -> None:
    transports = Transports({})
    standing = alert(system="a", severity="critical")
    transports.send(message(f"alertmanager:{alertmanager}", standing, DIGEST))
    held = {each["labels"]["alertname"]: each for each in held_by(alertmanager)}
    assert held["refused_batch"]["labels"] == standing.labels
    assert held["digest"]["annotations"]["summary_zh"] == DIGEST.text("summary", "zh")
    assert held["digest"]["status"]["state"] == "active"
    now = datetime.now(UTC)
    ends = {name: datetime.fromisoformat(each["endsAt"]) - now for name, each in held.items()}
    # Not the five minutes after which Alertmanager would take it for resolved by itself.
    assert ends["refused_batch"] > timedelta(days=300)
    assert timedelta(hours=23) < ends["digest"] < timedelta(hours=25)
    transports.send(message(f"alertmanager:{alertmanager}", standing.resolved(DAY)))
    assert [each["labels"]["alertname"] for each in held_by(alertmanager)] == ["digest"]


def test_a_long_message_says_how_much_it_leaves_out() -> None:
    alerts = [alert(system=f"s{number:02}") for number in range(MOST_ALERTS + 3)]
    text = text_of(alerts, "key-1")
    assert "… and 3 further alerts" in text
    assert "另有 3 条告警" in text
    assert title_of(alerts) == (
        f"[omgov] {len(alerts)} datasets with refused batches / {len(alerts)} 个数据集有批次被拒收"
    )
    assert title_of([alerts[0], alerts[1].resolved(DAY)]) == (
        "[omgov] 1 dataset with refused batches, Resolved: 1 dataset with refused batches / "
        "1 个数据集有批次被拒收, 已恢复: 1 个数据集有批次被拒收"
    )


def test_a_title_is_one_line() -> None:
    told = alert()
    nasty = told.model_copy(
        update={"annotations": told.annotations | {"summary_en": "a\r\nBcc: b@example.com" + "x" * 300}}
    )
    title = title_of([nasty])
    assert "\n" not in title
    assert "\r" not in title
    assert len(title) == 160
