"""Raising alerts: from what holds now to the messages that say so, in one transaction of the outbox.

Does not belong here: which alerts there are (``digests``, ``immediate``), sending the messages (``delivery``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.notifying import Told, believed_after, notification_for
from omgov_assets.anomaly_alert.outbox import Outbox, stamp
from omgov_assets.anomaly_alert.routing import Group, group_alerts, inhibited
from omgov_assets.anomaly_alert.silences import silenced
from omgov_assets.data_lake.durability import sqlite_transaction
from omgov_assets.model_management.alert_routes import SHORTEST_KEEP, AlertRoutes

# A momentary alert keeps its symptoms quiet for so long after it came.
KEEPS_QUIET = SHORTEST_KEEP


@dataclass(frozen=True)
class Scope:
    """Alerts of a kind that somebody has looked at in full: those that were not raised again are over.

    Attributes:
        labels: what the alerts have in common, their ``alertname`` above all.
        day: business day on which what is gone is over.
    """

    labels: Mapping[str, str]
    day: date


@dataclass(frozen=True)
class Raised:
    """What ``raise_alerts`` did.

    Attributes:
        alerts: alerts that were new, or had come back.
        resolved: alerts that are over.
        messages: messages written.
        rewritten: groups whose waiting message says more now.
        silenced: alerts that a silence keeps quiet.
        inhibited: alerts that another alert keeps quiet.
    """

    alerts: int = 0
    resolved: int = 0
    messages: int = 0
    rewritten: int = 0
    silenced: int = 0
    inhibited: int = 0


def raise_alerts(
    outbox: Outbox, alerts: Iterable[Alert], routes: AlertRoutes, now: datetime, looked_at: Sequence[Scope] = ()
) -> Raised:
    """Take note of alerts and write the messages that they need. The same alerts again need none.

    Without alerts, messages are written that have become due since: repeats, and what a silence no longer covers.

    Args:
        outbox: the outbox.
        alerts: what holds, and what is explicitly resolved.
        routes: who is told.
        now: time, with its zone.
        looked_at: what was looked at in full, so that what is missing among the alerts is over.
    """
    with sqlite_transaction(outbox.con):
        raised = list(alerts)
        news = sum(_take_note(outbox, alert, now) for alert in raised)
        gone = _resolve_missing(outbox, {alert.fingerprint for alert in raised}, looked_at)
        active = _alerts_where(outbox, "active = 1", ())
        kept_quiet_by_people = silenced(active, outbox.silences(), now)
        holding = _alerts_where(
            outbox,
            "status = 'firing' AND (active = 1 OR (ends_at IS NOT NULL AND received_at >= ?))",
            (stamp(now - KEEPS_QUIET),),
        )
        audible = [alert for alert in active if alert.fingerprint not in kept_quiet_by_people]
        kept_quiet_by_causes = inhibited(audible, holding, routes.inhibit_rules)
        messages = rewritten = 0
        for group in group_alerts(
            routes.route, (alert for alert in audible if alert.fingerprint not in kept_quiet_by_causes)
        ):
            written, anew = _tell(outbox, group, routes, now)
            messages, rewritten = messages + written, rewritten + anew
        by = {key: f"alert {cause}" for key, cause in kept_quiet_by_causes.items()}
        by |= {key: f"silence {silence}" for key, silence in kept_quiet_by_people.items()}
        for alert in active:
            over = alert.is_momentary or alert.status == "resolved"
            outbox.con.execute(
                "UPDATE alerts SET active = ?, suppressed_by = ? WHERE fingerprint = ?",
                (0 if over else 1, by.get(alert.fingerprint), alert.fingerprint),
            )
    return Raised(news, gone, messages, rewritten, len(kept_quiet_by_people), len(kept_quiet_by_causes))


def known_alerts(outbox: Outbox, alertname: str) -> list[Alert]:
    """All alerts of a kind that were ever raised, as they were last, by fingerprint."""
    return _alerts_where(outbox, "json_extract(content, '$.labels.alertname') = ?", (alertname,))


def _take_note(outbox: Outbox, alert: Alert, now: datetime) -> bool:
    """Store an alert; returns whether it is news."""
    rows = outbox.con.execute(
        "SELECT content, status, active FROM alerts WHERE fingerprint = ?", (alert.fingerprint,)
    ).fetchall()
    if rows:
        ((content, status, active),) = rows
        known = Alert.model_validate_json(content)
        if alert.status == "resolved":
            if status == "firing" and not known.is_momentary:
                _store(outbox, alert.model_copy(update={"starts_at": known.starts_at}))
            return False
        if known.is_momentary:
            return False  # told once
        if status == "firing":
            if active:
                # It holds since it was first seen; what it says may have changed.
                _store(outbox, alert.model_copy(update={"starts_at": known.starts_at}))
            return False
    elif alert.status == "resolved":
        return False  # nobody knows of it
    elif alert.is_momentary and alert.ends_at is not None and alert.ends_at < outbox.forgotten_before():
        return False  # told, as far as anybody can know
    outbox.con.execute(
        "INSERT OR REPLACE INTO alerts (fingerprint, content, status, ends_at, active, received_at) "
        "VALUES (?, ?, ?, ?, 1, ?)",
        (
            alert.fingerprint,
            alert.model_dump_json(),
            alert.status,
            alert.ends_at.isoformat() if alert.ends_at else None,
            stamp(now),
        ),
    )
    return True


def _store(outbox: Outbox, alert: Alert) -> None:
    outbox.con.execute(
        "UPDATE alerts SET content = ?, status = ?, ends_at = ?, active = 1 WHERE fingerprint = ?",
        (
            alert.model_dump_json(),
            alert.status,
            alert.ends_at.isoformat() if alert.ends_at else None,
            alert.fingerprint,
        ),
    )


def _resolve_missing(outbox: Outbox, raised: set[str], looked_at: Sequence[Scope]) -> int:
    """Resolve standing alerts of the scopes that were not raised; returns how many."""
    gone = 0
    for alert in _alerts_where(outbox, "active = 1 AND status = 'firing' AND ends_at IS NULL", ()):
        if alert.fingerprint in raised:
            continue
        for scope in looked_at:
            if all(alert.labels.get(name) == value for name, value in scope.labels.items()):
                _store(outbox, alert.resolved(scope.day))
                gone += 1
                break
    return gone


def _tell(outbox: Outbox, group: Group, routes: AlertRoutes, now: datetime) -> tuple[int, int]:
    """Write or rewrite the message that a group needs; returns messages written, and whether one was rewritten."""
    told = _told(outbox, group.key)
    receiver = routes.receiver_of[group.destination.receiver]
    needed = notification_for(group, told, now, receiver.send_resolved)
    written = 0
    if needed is None:
        if told is not None:
            _remember(outbox, group.key, told.notification, told.due_at, believed_after(group, told))
        return 0, 0
    if needed.rewrites:
        outbox.rewrite(needed.key, needed.alerts)
    else:
        written = outbox.put(needed.key, receiver.name, receiver.sinks, needed.alerts, now, needed.due_at)
    _remember(outbox, group.key, needed.key, needed.due_at, needed.firing)
    return written, int(needed.rewrites)


def _told(outbox: Outbox, group_key: str) -> Told | None:
    rows = outbox.con.execute(
        "SELECT notification, due_at, firing FROM groups WHERE group_key = ?", (group_key,)
    ).fetchall()
    if not rows:
        return None
    ((notification, due_at, firing),) = rows
    waiting = outbox.waiting(notification)
    return Told(notification, datetime.fromisoformat(due_at), frozenset(json.loads(firing)), waiting)


def _remember(outbox: Outbox, group_key: str, notification: str, due_at: datetime, firing: Iterable[str]) -> None:
    outbox.con.execute(
        "INSERT OR REPLACE INTO groups (group_key, notification, due_at, firing) VALUES (?, ?, ?, ?)",
        (group_key, notification, stamp(due_at), json.dumps(sorted(firing))),
    )


def _alerts_where(outbox: Outbox, condition: str, values: Sequence[str]) -> list[Alert]:
    rows = outbox.con.execute(
        f"SELECT content FROM alerts WHERE {condition} ORDER BY fingerprint",  # noqa: S608 - conditions of this module
        tuple(values),
    ).fetchall()
    return [Alert.model_validate_json(content) for (content,) in rows]
