"""What was sent and what is over is forgotten after a while; what is not, is not, and nothing is told again for it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from alert_cases import DAY, NIGHT, alert, routes
from night_lake import NightLake
from pydantic import ValidationError

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.delivery import DeliveryError, deliver_due
from omgov_assets.anomaly_alert.immediate import failed_run
from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Message, Outbox
from omgov_assets.anomaly_alert.raising import Scope, raise_alerts
from omgov_assets.model_management.alert_routes import AlertRoutes, Delivery, Digests

KEEP = timedelta(days=90)
OFFICE = {"name": "office", "apprise_url_env": ["OFFICE_URL"]}
ROUTES = routes(
    {"receiver": "office", "group_by": ["alertname", "day"], "group_wait": "0s", "repeat_interval": "365d"}, OFFICE
)


def digest(day: date) -> Alert:
    return alert("digest", momentary=True, starts_at=day, day=day.isoformat())


def night(day: date) -> datetime:
    return datetime.combine(day, time(20), UTC)


def tell(outbox: Outbox, *alerts: Alert, at: datetime, looked_at: Any = ()) -> int:
    return raise_alerts(outbox, alerts, ROUTES, at, looked_at).messages


def send(outbox: Outbox, at: datetime, works: bool = True, delivery: Delivery | None = None) -> None:
    def sink(_message: Message) -> None:
        if not works:
            raise DeliveryError("the mail server says no")

    deliver_due(outbox, sink, delivery or Delivery(), lambda: at)


def count(outbox: Outbox, table: str) -> int:
    ((number,),) = outbox.con.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(number)


def test_an_old_night_that_is_run_again_tells_nothing_after_its_messages_are_forgotten(outbox: Outbox) -> None:
    for number in range(3):
        day = DAY + timedelta(days=number)
        assert tell(outbox, digest(day), at=night(day)) == 1
        send(outbox, night(day))
    now = NIGHT + KEEP + timedelta(days=1, hours=12)
    pruned = outbox.prune(now - KEEP)
    assert (pruned.messages, pruned.alerts, pruned.groups) == (2, 2, 2)
    assert outbox.forgotten_before() == DAY + timedelta(days=2)
    for number in range(3):
        assert tell(outbox, digest(DAY + timedelta(days=number)), at=now) == 0, "told already, forgotten or not"
    assert tell(outbox, digest(DAY + timedelta(days=3)), at=now) == 1, "not told yet, however late"
    assert outbox.prune(now - KEEP).messages == 0, "and again changes nothing"


def test_a_home_that_has_forgotten_nothing_is_told_of_days_of_any_age(outbox: Outbox) -> None:
    long_after = NIGHT + timedelta(days=900)
    outbox.prune(long_after - KEEP)
    assert tell(outbox, digest(DAY), at=long_after) == 1


def test_a_run_of_a_forgotten_day_that_fails_today_is_told(outbox: Outbox) -> None:
    tell(outbox, digest(DAY), at=NIGHT)
    send(outbox, NIGHT)
    now = NIGHT + timedelta(days=100)
    outbox.prune(now - KEEP)
    failed = failed_run("nightly_governance", "run-9", DAY, None, now.date())
    assert tell(outbox, failed, at=now) == 1


def test_what_is_pending_stays_whatever_its_age_and_dead_letters_until_somebody_asks(outbox: Outbox) -> None:
    once = Delivery(attempts=1)
    tell(outbox, digest(DAY), at=NIGHT)
    send(outbox, NIGHT, works=False, delivery=once)
    tell(outbox, digest(DAY + timedelta(days=1)), at=NIGHT)
    now = NIGHT + timedelta(days=400)
    assert outbox.prune(now - KEEP).messages == 0
    assert outbox.counts() == {"pending": 1, "sent": 0, "dead": 1}
    assert count(outbox, "groups") == 2
    assert outbox.prune(now - KEEP, dead=True).messages == 1
    assert outbox.counts() == {"pending": 1, "sent": 0, "dead": 0}
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        outbox.con.execute("DELETE FROM messages")
    send(outbox, now)
    assert outbox.counts() == {"pending": 0, "sent": 1, "dead": 0}


def test_what_still_holds_is_kept_and_its_end_is_told(outbox: Outbox) -> None:
    standing = alert(system="a", day=DAY.isoformat())
    tell(outbox, standing, at=NIGHT)
    send(outbox, NIGHT)
    now = NIGHT + timedelta(days=100)
    assert outbox.prune(now - KEEP).messages == 1
    assert (count(outbox, "alerts"), count(outbox, "groups")) == (1, 1)
    assert tell(outbox, standing, at=now) == 0, "told, and it still holds"
    scope = [Scope({"alertname": "refused_batch"}, now.date())]
    assert tell(outbox, at=now, looked_at=scope) == 1, "it is over"
    send(outbox, now)
    later = now + KEEP + timedelta(days=1)
    outbox.prune(later - KEEP)
    assert (count(outbox, "alerts"), count(outbox, "groups"), count(outbox, "messages")) == (0, 0, 0)
    assert tell(outbox, standing, at=later) == 1, "what comes back is news"


def test_a_group_that_begins_anew_does_not_take_the_key_of_an_old_message(outbox: Outbox) -> None:
    standing = alert(system="a", day=DAY.isoformat())
    tell(outbox, standing, at=NIGHT)
    send(outbox, NIGHT, works=False, delivery=Delivery(attempts=1))
    tell(outbox, at=NIGHT + timedelta(hours=1), looked_at=[Scope({"alertname": "refused_batch"}, DAY)])
    send(outbox, NIGHT + timedelta(hours=2))
    later = NIGHT + timedelta(days=200)
    outbox.prune(later - KEEP)
    assert outbox.counts()["dead"] == 1
    assert tell(outbox, standing, at=later) == 1


def test_a_night_begins_with_forgetting(rooms: NightLake, outbox: Outbox) -> None:
    rooms.write_cmdb()
    rooms.write_anomalies([{"owner_id": "O-1"}] * 20)
    rooms.update_cases()
    rooms = rooms.with_routes(rooms.governance.alerts.model_copy(update={"digests": Digests(most_messages_share=1)}))
    told = (rooms.lake, rooms.governance, rooms.report, outbox, DAY)
    assert tell_of_night(*told, NIGHT)[1].messages == 2
    send(outbox, NIGHT)
    _, again = tell_of_night(*told, NIGHT + timedelta(days=91, hours=1))
    assert (again.alerts, again.messages, count(outbox, "messages"), count(outbox, "alerts")) == (0, 0, 0, 0)


def test_what_is_forgotten_cannot_be_remembered(outbox: Outbox) -> None:
    tell(outbox, digest(DAY), at=NIGHT)
    send(outbox, NIGHT)
    outbox.prune(NIGHT + timedelta(days=10))
    for statement in ("UPDATE forgotten SET before_day = '2020-01-01'", "DELETE FROM forgotten"):
        with pytest.raises(sqlite3.IntegrityError, match="cannot be remembered"):
            outbox.con.execute(statement)


def test_what_keeps_others_quiet_is_kept_for_so_long() -> None:
    with pytest.raises(ValidationError, match="keep must be at least 7d"):
        Delivery.model_validate({"keep": "6d"})
    assert AlertRoutes().delivery.keep == KEEP
