"""Whether a group of alerts needs a message, what it says, and when it is due.

Pure functions. Alertmanager keeps groups in memory until they are due; here a message is written at once with the
time at which it is due, and rewritten while it waits, so that nothing is kept in memory alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.routing import Group
from omgov_assets.model_management.documents import content_hash


@dataclass(frozen=True)
class Told:
    """What a group's receiver was told last.

    Attributes:
        notification: key of the last message.
        due_at: when that message was, or is, due.
        firing: fingerprints of standing alerts that the receiver believes to hold.
        waiting: alerts of that message where nobody has tried to send it yet, else None.
    """

    notification: str
    due_at: datetime
    firing: frozenset[str]
    waiting: tuple[Alert, ...] | None = None


@dataclass(frozen=True)
class Notification:
    """A message that a group needs.

    Attributes:
        key: its identity: messages with one key are one message, however often they are delivered.
        alerts: what it says, firing ones first, by fingerprint.
        due_at: not to be sent before.
        firing: fingerprints of standing alerts that its receiver will believe to hold.
        rewrites: whether it takes the place of the group's last message, which still waits.
    """

    key: str
    alerts: tuple[Alert, ...]
    due_at: datetime
    firing: frozenset[str]
    rewrites: bool


def notification_for(group: Group, told: Told | None, now: datetime, send_resolved: bool) -> Notification | None:
    """The message that a group needs now, or None.

    Args:
        group: alerts that hold or have just been resolved; those that are silenced or inhibited left out.
        told: what the receiver was told before; None for a new group.
        now: time, with its zone.
        send_resolved: whether the receiver wants to know what is over.
    """
    known = told.firing if told else frozenset[str]()
    believed = believed_after(group, told)
    firing = [alert for alert in group.alerts if alert.status == "firing"]
    new = [alert for alert in firing if alert.is_momentary or alert.fingerprint not in known]
    over = [alert for alert in group.alerts if alert.status == "resolved" and alert.fingerprint in known]
    destination = group.destination
    if new or (over and send_resolved):
        said = firing + (over if send_resolved else [])
        if told is not None and told.waiting is not None:
            merged = {alert.fingerprint: alert for alert in (*told.waiting, *said)}
            return Notification(told.notification, _ordered(merged.values()), told.due_at, believed, rewrites=True)
        due_at = now + destination.group_wait if told is None else max(now, told.due_at + destination.group_interval)
        return Notification(_key(group, told, said), _ordered(said), due_at, believed, rewrites=False)
    repeatable = [alert for alert in firing if not alert.is_momentary]
    if repeatable and told is not None and told.waiting is None and now >= told.due_at + destination.repeat_interval:
        return Notification(_key(group, told, repeatable), _ordered(repeatable), now, believed, rewrites=False)
    return None


def believed_after(group: Group, told: Told | None) -> frozenset[str]:
    """Fingerprints of standing alerts that a group's receiver believes to hold once it has been told of the group.

    Of a standing alert that is not in the group (silenced, say) it goes on believing what it was told.
    """
    known = told.firing if told else frozenset[str]()
    firing = {alert.fingerprint for alert in group.alerts if alert.status == "firing" and not alert.is_momentary}
    return (known | firing) - {alert.fingerprint for alert in group.alerts if alert.status == "resolved"}


def _key(group: Group, told: Told | None, alerts: Sequence[Alert]) -> str:
    """Each key follows from the one before it in its group: the same alerts again later are another message."""
    content = (f"{alert.fingerprint} {alert.status} {alert.starts_at}" for alert in _ordered(alerts))
    return content_hash(group.key, told.notification if told else "", *content)


def _ordered(alerts: Iterable[Alert]) -> tuple[Alert, ...]:
    return tuple(sorted(alerts, key=lambda alert: (alert.status, alert.fingerprint)))
