"""The outbox: at least once, each message once per attempt, retried, dead letters visible, silences append-only."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alert_cases import DAY, NIGHT, alert, routes

from omgov_assets.anomaly_alert.delivery import Delivered, DeliveryError, deliver_due
from omgov_assets.anomaly_alert.outbox import Message, Outbox, OutboxError
from omgov_assets.anomaly_alert.raising import Scope, known_alerts, raise_alerts
from omgov_assets.anomaly_alert.silences import new_silence
from omgov_assets.model_management.alert_routes import AlertRoutes, Delivery

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OFFICE = {"name": "office", "apprise_url_env": ["OFFICE_URL"]}


def office(route: dict[str, Any] | None = None, **settings: Any) -> AlertRoutes:
    tree = {"receiver": "office", "group_by": ["day"], "group_wait": "0s", "repeat_interval": "4h"} | (route or {})
    return routes(tree, OFFICE, **settings)


class Sink:
    """Takes what it does not have to refuse."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.taken: list[Message] = []

    def __call__(self, message: Message) -> None:
        if self.refuses > 0:
            self.refuses -= 1
            raise DeliveryError("the mail server says no")
        self.taken.append(message)

    @property
    def said(self) -> list[str]:
        return [f"{each.status} {each.text('summary', 'en')}" for message in self.taken for each in message.alerts]


def deliver(outbox: Outbox, sink: Any, at: datetime = NIGHT, delivery: Delivery | None = None) -> Delivered:
    return deliver_due(outbox, sink, delivery or Delivery(), lambda: at)


def test_what_is_committed_survives_a_power_cut(outbox: Outbox) -> None:
    assert outbox.con.execute("PRAGMA journal_mode").fetchall() == [("wal",)]
    assert outbox.con.execute("PRAGMA synchronous").fetchall() == [(2,)], "2 is FULL"


def test_the_same_alerts_again_need_no_message(outbox: Outbox) -> None:
    first = raise_alerts(outbox, [alert(system="a")], office(), NIGHT)
    assert (first.alerts, first.messages) == (1, 1)
    for _ in range(3):
        again = raise_alerts(outbox, [alert(system="a")], office(), NIGHT + MINUTE)
        assert (again.alerts, again.messages, again.rewritten) == (0, 0, 0)
    sink = Sink()
    assert deliver(outbox, sink) == Delivered(sent=1)
    assert deliver(outbox, sink, NIGHT + HOUR) == Delivered()
    assert sink.said == ["firing refused_batch system=a"]


def test_each_sink_of_a_receiver_gets_a_message_of_its_own(outbox: Outbox) -> None:
    receiver = OFFICE | {"alertmanager_urls": ["http://alertmanager:9093"]}
    raise_alerts(outbox, [alert()], routes({"receiver": "office", "group_wait": "0s"}, receiver), NIGHT)
    sink = Sink(refuses=1)
    assert deliver(outbox, sink) == Delivered(sent=1, failed=1)
    assert deliver(outbox, sink, NIGHT + MINUTE) == Delivered(sent=1)
    assert {message.sink for message in sink.taken} == {"apprise:OFFICE_URL", "alertmanager:http://alertmanager:9093"}
    assert len({message.key for message in sink.taken}) == 2


def test_a_message_that_waits_is_rewritten_and_one_that_was_tried_is_not(outbox: Outbox) -> None:
    patient = office({"group_wait": "10m", "group_interval": "30m"})
    raise_alerts(outbox, [alert(system="a")], patient, NIGHT)
    assert raise_alerts(outbox, [alert(system="b")], patient, NIGHT + MINUTE).rewritten == 1
    sink = Sink(refuses=1)
    assert deliver(outbox, sink, NIGHT + 9 * MINUTE) == Delivered()
    assert deliver(outbox, sink, NIGHT + 10 * MINUTE) == Delivered(failed=1)
    later = raise_alerts(outbox, [alert(system="c")], patient, NIGHT + 11 * MINUTE)
    assert (later.messages, later.rewritten) == (1, 0)
    deliver(outbox, sink, NIGHT + 20 * MINUTE)
    assert sorted(sink.said) == ["firing refused_batch system=a", "firing refused_batch system=b"]
    deliver(outbox, sink, NIGHT + HOUR)
    assert len(sink.taken) == 2


def test_failures_wait_longer_each_time_and_end_as_a_dead_letter_that_can_be_revived(outbox: Outbox) -> None:
    delivery = Delivery(attempts=3, first_retry=MINUTE, longest_retry=HOUR)
    raise_alerts(outbox, [alert()], office(), NIGHT)
    sink = Sink(refuses=3)
    assert deliver(outbox, sink, NIGHT, delivery) == Delivered(failed=1)
    assert deliver(outbox, sink, NIGHT + MINUTE / 2, delivery) == Delivered()
    assert deliver(outbox, sink, NIGHT + MINUTE, delivery) == Delivered(failed=1)
    assert deliver(outbox, sink, NIGHT + 2 * MINUTE, delivery) == Delivered()
    assert deliver(outbox, sink, NIGHT + 3 * MINUTE, delivery) == Delivered(dead=1)
    (dead,) = outbox.messages(["dead"])
    assert (dead.attempts, dead.last_error) == (3, "the mail server says no")
    assert deliver(outbox, sink, NIGHT + 9 * HOUR, delivery) == Delivered()
    assert outbox.revive(NIGHT + 9 * HOUR, ["another"]) == 0
    assert outbox.revive(NIGHT + 9 * HOUR, [dead.key]) == 1
    assert deliver(outbox, sink, NIGHT + 9 * HOUR, delivery) == Delivered(sent=1)
    assert outbox.counts() == {"pending": 0, "sent": 1, "dead": 0}


def test_without_any_wait_each_due_message_is_still_tried_once(outbox: Outbox) -> None:
    at_once = Delivery(attempts=5, first_retry=timedelta(0))
    raise_alerts(outbox, [alert()], office(), NIGHT)
    assert deliver(outbox, Sink(refuses=9), NIGHT, at_once) == Delivered(failed=1)


def test_a_sink_that_is_down_does_not_keep_the_others_waiting(outbox: Outbox) -> None:
    tree = {"receiver": "office", "group_by": ["day"], "group_wait": "0s"}
    both = routes(tree, OFFICE | {"alertmanager_urls": ["http://alertmanager:9093"]})
    raise_alerts(outbox, [alert(day=str(number)) for number in range(10)], both, NIGHT)
    tried: list[str] = []

    def send(message: Message) -> None:
        tried.append(message.sink)
        if message.sink.startswith("apprise"):
            raise DeliveryError("no answer for twenty seconds")

    assert deliver(outbox, send) == Delivered(sent=10, failed=3)
    assert tried.count("apprise:OFFICE_URL") == 3
    # The others are due still, and have lost no attempt.
    assert deliver(outbox, send, NIGHT + MINUTE / 2) == Delivered(failed=3)
    assert sorted(message.attempts for message in outbox.messages(["pending"])) == [0] * 4 + [1] * 6


def test_a_message_that_cannot_be_addressed_does_not_speak_for_its_sink(outbox: Outbox) -> None:
    raise_alerts(outbox, [alert(day=str(number)) for number in range(10)], office(), NIGHT)

    def send(message: Message) -> None:
        if int(message.alerts[0].labels["day"]) < 5:
            raise DeliveryError("the CMDB knows no address", of_message=True)

    assert deliver(outbox, send) == Delivered(sent=5, failed=5)


def test_a_transport_that_breaks_neither_raises_nor_tells_secrets(outbox: Outbox) -> None:
    def broken(message: Message) -> None:
        raise RuntimeError("https://user:hunter2@example.com")

    raise_alerts(outbox, [alert()], office(), NIGHT)
    assert deliver(outbox, broken) == Delivered(failed=1)
    (message,) = outbox.messages()
    assert message.last_error == "the transport broke: RuntimeError"


def test_two_senders_never_have_one_message_at_a_time(outbox: Outbox) -> None:
    raise_alerts(outbox, [alert(day="1"), alert(day="2")], office(), NIGHT)
    with Outbox(outbox.path) as other:
        claims = [
            each.claim(NIGHT, Delivery(), timedelta(minutes=5)) for each in (outbox, other, outbox, other)
        ]  # fmt: skip
        assert [claim is not None for claim in claims] == [True, True, False, False]
        assert len({claim.key for claim in claims if claim}) == 2
        # Whoever took them has died: after the lease somebody else may.
        assert other.claim(NIGHT + timedelta(minutes=5), Delivery(), timedelta(minutes=5)) is not None


def test_a_message_whose_last_attempt_ended_without_a_word_is_a_dead_letter(outbox: Outbox) -> None:
    once = Delivery(attempts=1)
    raise_alerts(outbox, [alert()], office(), NIGHT)
    assert outbox.claim(NIGHT, once, MINUTE) is not None
    assert deliver(outbox, Sink(), NIGHT + HOUR, once) == Delivered()
    (dead,) = outbox.messages(["dead"])
    assert dead.last_error == "the last attempt ended without an answer: it may have arrived"


def test_what_is_no_longer_found_where_somebody_looked_is_over(outbox: Outbox) -> None:
    sink, both = Sink(), [alert(system="a", day="1"), alert(system="b", day="1")]
    raise_alerts(outbox, [*both, alert("blocking_check", day="1")], office(), NIGHT)
    deliver(outbox, sink)
    scope = Scope({"alertname": "refused_batch", "day": "1"}, DAY)
    done = raise_alerts(outbox, both[:1], office(), NIGHT + HOUR, [scope])
    assert done.resolved == 1
    deliver(outbox, sink, NIGHT + HOUR)
    assert [line for line in sink.said if line.startswith("resolved")] == ["resolved refused_batch day=1 system=b"]
    # It comes back, and is said again.
    raise_alerts(outbox, both, office(), NIGHT + 2 * HOUR, [scope])
    deliver(outbox, sink, NIGHT + 2 * HOUR)
    assert sink.said.count("firing refused_batch day=1 system=b") == 2


def test_who_wants_no_notice_of_ends_is_told_again_when_it_comes_back(outbox: Outbox) -> None:
    tree, quiet = {"receiver": "office", "group_wait": "0s"}, OFFICE | {"send_resolved": False}
    for hours, holds in enumerate((True, False, True)):
        given = alert(system="a")
        scope = Scope({"alertname": "refused_batch"}, DAY)
        raise_alerts(outbox, [given] if holds else [], routes(tree, quiet), NIGHT + hours * HOUR, [scope])
        deliver(outbox, Sink(), NIGHT + hours * HOUR)
    assert outbox.counts()["sent"] == 2


def test_what_goes_on_is_repeated_and_what_was_about_one_night_is_not(outbox: Outbox) -> None:
    raise_alerts(outbox, [alert(system="a", day="1"), alert("digest", momentary=True, day="2")], office(), NIGHT)
    deliver(outbox, Sink())
    sink = Sink()
    for hours in range(1, 10):
        raise_alerts(outbox, [], office(), NIGHT + hours * HOUR)
        deliver(outbox, sink, NIGHT + hours * HOUR)
    assert sink.said == ["firing refused_batch day=1 system=a"] * 2
    # The night run again gives the same digest, which has been told.
    assert raise_alerts(outbox, [alert("digest", momentary=True, day="2")], office(), NIGHT + 9 * HOUR).messages == 0


def test_a_silence_keeps_an_alert_quiet_until_it_ends_and_the_alert_is_not_forgotten(outbox: Outbox) -> None:
    silence = new_silence("wang", "move", ["system=a"], NIGHT, NIGHT + HOUR)
    outbox.record_silence(silence, NIGHT)
    done = raise_alerts(outbox, [alert(system="a"), alert("digest", momentary=True, system="a")], office(), NIGHT)
    assert (done.silenced, done.messages) == (2, 0)
    reasons = outbox.con.execute("SELECT DISTINCT suppressed_by FROM alerts").fetchall()
    assert reasons == [(f"silence {silence.silence_id}",)]
    assert raise_alerts(outbox, [], office(), NIGHT + HOUR).messages == 1


def test_a_cause_keeps_its_symptom_quiet_also_when_it_came_first(outbox: Outbox) -> None:
    rule = {
        "source_matchers": ["alertname=failed_run"],
        "target_matchers": ["alertname=unfinished_night"],
        "equal": ["day"],
    }
    ruled = office(inhibit_rules=[rule])
    raise_alerts(outbox, [alert("failed_run", momentary=True, day="1", run_id="r")], ruled, NIGHT)
    late = [alert("unfinished_night", day="1"), alert("unfinished_night", day="2")]
    done = raise_alerts(outbox, late, ruled, NIGHT + HOUR)
    assert (done.inhibited, done.messages) == (1, 1)
    assert [each.labels["day"] for each in known_alerts(outbox, "unfinished_night")] != []


def test_silences_can_neither_be_changed_nor_deleted_and_what_is_to_be_sent_not_deleted(outbox: Outbox) -> None:
    outbox.record_silence(new_silence("wang", "move", ["system=a"], NIGHT, NIGHT + HOUR), NIGHT)
    raise_alerts(outbox, [alert()], office(), NIGHT)
    for statement in ("UPDATE silences SET content = ''", "DELETE FROM silences", "DELETE FROM messages"):
        with pytest.raises(sqlite3.IntegrityError, match=r"append-only|never deleted"):
            outbox.con.execute(statement)
    assert [silence.author for silence in outbox.silences()] == ["wang"]


def test_a_transaction_that_fails_leaves_nothing(outbox: Outbox) -> None:
    with pytest.raises(KeyError):
        raise_alerts(outbox, [alert()], AlertRoutes.model_validate({"route": {"receiver": "gone"}}), NIGHT)
    assert known_alerts(outbox, "refused_batch") == []
    assert raise_alerts(outbox, [alert()], office(), NIGHT).messages == 1


def test_a_file_that_is_no_outbox_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(OutboxError, match="cannot be read as an outbox"):
        Outbox(path)
    assert path.read_bytes() == b"no database " * 100
    newer = tmp_path / "newer.db"
    Outbox(newer).close()
    with sqlite3.connect(newer) as con:
        con.execute("PRAGMA user_version = 99")
    con.close()
    with pytest.raises(OutboxError, match="is of version 99"):
        Outbox(newer)
