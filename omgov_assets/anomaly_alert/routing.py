"""Which receivers an alert goes to, which alerts make one message, and which keep others quiet: Alertmanager's rules.

Pure functions of alerts and of ``governance/alert_routes.yaml``. Does not belong here: when a message is due
(``notifying``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.model_management.alert_routes import ALL_LABELS, InhibitRule, Matcher, Route


@dataclass(frozen=True)
class Destination:
    """A route that an alert ends at, with all that it inherits.

    Attributes:
        path: matchers of the routes down to it, which is its identity: it stays the same where routes are reordered.
        receiver: who is told.
        group_by: labels that a group shares.
        group_wait: wait of a group's first message.
        group_interval: time between two messages of a group.
        repeat_interval: time until what still holds is said again.
    """

    path: str
    receiver: str
    group_by: tuple[str, ...]
    group_wait: timedelta
    group_interval: timedelta
    repeat_interval: timedelta

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels by which an alert is grouped here."""
        if self.group_by == (ALL_LABELS,):
            return dict(labels)
        return {name: labels.get(name, "") for name in self.group_by}


@dataclass(frozen=True)
class Group:
    """Alerts that make one message.

    Attributes:
        key: identity of the group: route, receiver and the labels that the alerts share.
        destination: where they go.
        labels: what they share.
        alerts: by fingerprint ascending.
    """

    key: str
    destination: Destination
    labels: dict[str, str]
    alerts: tuple[Alert, ...]


# As Alertmanager has them.
_ROOT = Destination("", "", (), timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=4))


def destinations(root: Route, labels: Mapping[str, str]) -> list[Destination]:
    """Where alerts with such labels go: the deepest route that matches, and further ones where it says ``continue``."""
    return _below(root, labels, _ROOT) or []


def group_alerts(root: Route, alerts: Iterable[Alert]) -> list[Group]:
    """Alerts as groups, by key ascending. An alert is in one group for each of its destinations."""
    found: dict[str, tuple[Destination, dict[str, str], dict[str, Alert]]] = {}
    for alert in alerts:
        for destination in destinations(root, alert.labels):
            shared = destination.group_labels(alert.labels)
            key = f"{destination.path}→{destination.receiver}:{json.dumps(shared, ensure_ascii=False, sort_keys=True)}"
            found.setdefault(key, (destination, shared, {}))[2][alert.fingerprint] = alert
    return [
        Group(key, destination, shared, tuple(alert for _, alert in sorted(of_group.items())))
        for key, (destination, shared, of_group) in sorted(found.items())
    ]


def inhibited(alerts: Iterable[Alert], holding: Sequence[Alert], rules: Sequence[InhibitRule]) -> dict[str, str]:
    """Which alerts are kept quiet.

    An alert that fits both sides of a rule is not kept quiet by another such one, and never by itself.

    Args:
        alerts: those to judge.
        holding: alerts that may keep others quiet. A momentary one does so for what starts no later than it ends.
        rules: inhibition rules.

    Returns:
        By fingerprint of what is kept quiet, the fingerprint of the first alert that does so.
    """
    quiet: dict[str, str] = {}
    firing = sorted((other for other in holding if other.status == "firing"), key=lambda other: other.fingerprint)
    for rule in rules:
        by_equal: dict[tuple[str, ...], list[Alert]] = {}
        for source in firing:
            if _all_match(rule.source_matchers, source):
                by_equal.setdefault(_values(rule.equal, source), []).append(source)
        for alert in alerts:
            if alert.fingerprint in quiet or not _all_match(rule.target_matchers, alert):
                continue
            both = _all_match(rule.source_matchers, alert)
            for source in by_equal.get(_values(rule.equal, alert), ()):
                outlived = source.ends_at is not None and source.ends_at < alert.starts_at
                if source.fingerprint == alert.fingerprint or outlived:
                    continue
                if both and _all_match(rule.target_matchers, source):
                    continue
                quiet[alert.fingerprint] = source.fingerprint
                break
    return quiet


def _below(route: Route, labels: Mapping[str, str], inherited: Destination) -> list[Destination] | None:
    """Destinations in a route's subtree; None where the route does not match."""
    if not all(matcher.matches(labels.get(matcher.label, "")) for matcher in route.matchers):
        return None
    own = Destination(
        path=f"{inherited.path}/{{{','.join(map(str, route.matchers))}}}",
        receiver=route.receiver or inherited.receiver,
        group_by=inherited.group_by if route.group_by is None else route.group_by,
        group_wait=inherited.group_wait if route.group_wait is None else route.group_wait,
        group_interval=inherited.group_interval if route.group_interval is None else route.group_interval,
        repeat_interval=inherited.repeat_interval if route.repeat_interval is None else route.repeat_interval,
    )
    found: list[Destination] = []
    for child in route.routes:
        below = _below(child, labels, own)
        if below is not None:
            found += below
            if not child.continue_:
                break
    return found or [own]


def _all_match(matchers: Iterable[Matcher], alert: Alert) -> bool:
    return all(matcher.matches(alert.labels.get(matcher.label, "")) for matcher in matchers)


def _values(names: Iterable[str], alert: Alert) -> tuple[str, ...]:
    return tuple(alert.labels.get(name, "") for name in names)
