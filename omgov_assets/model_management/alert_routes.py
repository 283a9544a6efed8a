"""Alert routes: who is told of what, when and how often, in the vocabulary of Prometheus' Alertmanager.

Belongs here: ``governance/alert_routes.yaml`` as checked objects. Does not belong here: routing an alert
(``anomaly_alert.routing``) or sending it. Secrets do not belong in the document: it names the environment variables
that hold them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import re2  # type: ignore[import-untyped]
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError

ROUTES_DOCUMENT = "governance/alert_routes.yaml"

# What alerts are told apart by. A matcher, a group or an inhibition on anything else could never hold.
LABELS = (
    "alertname",
    "severity",
    "day",
    "system",
    "dataset",
    "check",
    "job",
    "run_id",
    "case_id",
    "recipient_kind",
    "recipient",
)
ALL_LABELS = "..."
SHORTEST_KEEP = timedelta(days=7)

_DURATION = re.compile(r"(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(\"(?:[^\"\\]|\\.)*\"|[^\s\"{}]*)\s*")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def _duration(value: Any) -> timedelta:
    """``1h30m`` and the like, as Prometheus writes durations: w, d, h, m, s."""
    if isinstance(value, timedelta):
        return value
    matched = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if matched is None:
        raise ValueError(f"{value!r} is no duration: write it like 30s, 5m, 1h30m or 7d")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{value!r} is longer than any duration") from error


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0), le=timedelta(days=366))]


class Matcher(BaseModel):
    """A condition on a label: ``severity="critical"``, ``system!="cmdb"``, ``alertname=~"refused_.*"``.

    A label that an alert does not have counts as empty. Regular expressions are RE2's and match as a whole.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    operator: str
    value: str

    @model_validator(mode="before")
    @classmethod
    def _is_written_as_alertmanager_does(cls, given: Any) -> Any:
        return matcher_parts(given) if isinstance(given, str) else given

    @model_validator(mode="after")
    def _can_hold(self) -> Matcher:
        if self.label not in LABELS:
            raise ValueError(f"{self.label!r} is no label of alerts: name one of {', '.join(LABELS)}")
        if self.operator.endswith("~"):
            try:
                re2.compile(self.value)
            except re2.error as error:
                raise ValueError(f"{self.value!r} is no regular expression of RE2") from error
        return self

    def matches(self, value: str) -> bool:
        """Whether the condition holds for a value of the label."""
        found = bool(re2.fullmatch(self.value, value)) if self.operator.endswith("~") else value == self.value
        return found != self.operator.startswith("!")

    def __str__(self) -> str:
        quoted = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.label}{self.operator}"{quoted}"'


def matcher_parts(text: str) -> dict[str, str]:
    """Label, operator and value of a matcher as it is written. Raises ``ValueError``."""
    matched = _MATCHER.fullmatch(text)
    if matched is None:
        raise ValueError(f'{text!r} is no matcher: write it like severity="critical" or system=~"a|b"')
    label, operator, value = matched.groups()
    if value.startswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return {"label": label, "operator": operator, "value": value}


def _labels_exist(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    for name in names or ():
        if name not in LABELS and name != ALL_LABELS:
            raise ValueError(f"{name!r} is no label of alerts: name some of {', '.join(LABELS)}, or '{ALL_LABELS}'")
    if names and len(set(names)) < len(names):
        raise ValueError("name each label once")
    if names and ALL_LABELS in names and len(names) > 1:
        raise ValueError(f"'{ALL_LABELS}' is all labels: it stands alone")
    return names


class Route(BaseModel):
    """A node of the route tree. What it does not say is as its parent says.

    Attributes:
        receiver: who is told.
        group_by: labels; alerts that have the same values of them go into one message. ``...`` is all labels.
        group_wait: how long the first message of a group waits for further alerts.
        group_interval: time between two messages of one group, at least.
        repeat_interval: after which time what still holds is said again.
        matchers: all must hold for an alert to come here.
        continue_: whether alerts that came here are offered to the following sibling as well.
        routes: children, of which the first that matches is taken.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    receiver: str | None = None
    group_by: tuple[str, ...] | None = None
    group_wait: Duration | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None
    matchers: tuple[Matcher, ...] = ()
    continue_: bool = Field(default=False, alias="continue")
    routes: tuple[Route, ...] = ()

    _known_labels = field_validator("group_by")(_labels_exist)

    @field_validator("repeat_interval")
    @classmethod
    def _repeats_leave_time(cls, value: timedelta | None) -> timedelta | None:
        if value is not None and value < timedelta(minutes=1):
            raise ValueError("repeat_interval must be at least 1m")
        return value


class Receiver(BaseModel):
    """Who is told, and by what. One without sinks is told nothing.

    Attributes:
        name: as routes call it.
        apprise_url_env: environment variables that hold URLs of apprise. In a URL ``{recipient}`` stands for the owner
            or support group that a digest is for, ``{email}`` for their address in the CMDB.
        alertmanager_urls: Alertmanagers that alerts are handed to by the API v2.
        send_resolved: whether to say that something is over.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    apprise_url_env: tuple[str, ...] = ()
    alertmanager_urls: tuple[str, ...] = ()
    send_resolved: bool = True

    @field_validator("apprise_url_env")
    @classmethod
    def _names_variables(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for position, name in enumerate(value):
            # What was given is not repeated: it may be the very secret that has no place here.
            if not _VARIABLE.fullmatch(name):
                raise ValueError(
                    f"entry {position} is no name of an environment variable, such as OMGOV_ALERT_URL: "
                    "the URL itself has no place in this document, since it holds secrets"
                )
        return value

    @field_validator("alertmanager_urls")
    @classmethod
    def _are_urls_without_secrets(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for position, url in enumerate(value):
            try:
                parts = urlsplit(url)
                sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
            except ValueError:
                sound = False
            if not sound or parts.username is not None or parts.password is not None or parts.query or parts.fragment:
                raise ValueError(
                    f"entry {position} is no plain URL like http://alertmanager:9093, without user and query"
                )
        return value

    @property
    def sinks(self) -> tuple[str, ...]:
        """What a message is sent by, one name each: ``apprise:VARIABLE``, ``alertmanager:URL``."""
        return (
            *(f"apprise:{name}" for name in self.apprise_url_env),
            *(f"alertmanager:{url}" for url in self.alertmanager_urls),
        )


class InhibitRule(BaseModel):
    """While an alert holds that all ``source_matchers`` fit, those that all ``target_matchers`` fit are not sent,
    where both have the same values of the labels in ``equal``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source_matchers: tuple[Matcher, ...] = Field(min_length=1)
    target_matchers: tuple[Matcher, ...] = Field(min_length=1)
    equal: tuple[str, ...] = ()

    @field_validator("equal")
    @classmethod
    def _known_labels(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in LABELS:
                raise ValueError(f"{name!r} is no label of alerts: name some of {', '.join(LABELS)}")
        return names


class Delivery(BaseModel):
    """How a message that could not be delivered is tried again.

    Attributes:
        attempts: after so many the message is a dead letter, which a person must look at.
        first_retry: wait after the first failure; it doubles with each further one, up to
        longest_retry.
        keep: what was sent, and what is over, is kept for so long: Alertmanager's data retention.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempts: int = Field(default=12, ge=1, le=100)
    first_retry: Duration = timedelta(minutes=1)
    longest_retry: Duration = timedelta(hours=4)
    keep: Duration = timedelta(days=90)

    @field_validator("keep")
    @classmethod
    def _is_kept_while_it_keeps_others_quiet(cls, value: timedelta) -> timedelta:
        if value < SHORTEST_KEEP:
            raise ValueError("keep must be at least 7d: for so long what is over keeps its symptoms quiet")
        return value

    def wait(self, attempts: int) -> timedelta:
        """The wait after so many failed attempts."""
        return min(self.first_retry * 2 ** min(attempts - 1, 40), self.longest_retry) if attempts > 0 else timedelta(0)


class Digests(BaseModel):
    """How many digests there may be.

    Attributes:
        most_messages_share: messages of a night at most, as a share of its anomalies. Who has few anomalies is then
            told of in the digest of the support group, and small groups in that of the governance office.
        cases: cases that a digest names at most, those of one cause as one; the rest is counted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    most_messages_share: float = Field(default=0.01, gt=0, le=1)
    cases: int = Field(default=5, ge=1, le=50)


class AlertRoutes(BaseModel):
    """What the firm says of alerts; a firm without the document tells nobody, and keeps its alerts.

    Attributes:
        owner: e-mail address of who decides them.
        route: root of the route tree.
        receivers: who can be told.
        inhibit_rules: which alerts keep others from being sent.
        delivery: how delivery is tried again.
        digests: how many digests there may be.
        night_deadline: local time, of the day after, by which a night must be finished.
        report_url: where the folder of reports is served, for links; without it links are paths below the home.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    owner: str = ""
    route: Route = Route(receiver="nobody")
    receivers: tuple[Receiver, ...] = (Receiver(name="nobody"),)
    inhibit_rules: tuple[InhibitRule, ...] = ()
    delivery: Delivery = Delivery()
    digests: Digests = Digests()
    night_deadline: time = time(7)
    report_url: str | None = None

    @field_validator("night_deadline", mode="before")
    @classmethod
    def _is_a_time_of_day(cls, value: Any) -> Any:
        # YAML 1.1 reads 17:00 without quotes as a number of minutes.
        if isinstance(value, str) and re.fullmatch(r"[0-2]\d:[0-5]\d", value):
            return time.fromisoformat(value)
        if isinstance(value, time):
            return value
        raise ValueError('write a time of day in quotes, like "07:00"')

    @field_validator("report_url")
    @classmethod
    def _is_a_web_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not re.fullmatch(r"https?://[^\s/@?#]+[^\s?#]*", value):
            raise ValueError("write a web address like https://omgov.example.com/report, without user and query")
        return value.rstrip("/")

    @cached_property
    def receiver_of(self) -> dict[str, Receiver]:
        """Receivers by name."""
        return {receiver.name: receiver for receiver in self.receivers}


def load_alert_routes(project: Path) -> AlertRoutes:
    """Read ``governance/alert_routes.yaml`` of a project; nobody is told where it has none.

    Raises:
        GovernanceError: the document is malformed, or a route names a receiver that there is not.
    """
    path = project / ROUTES_DOCUMENT
    if not path.is_file():
        return AlertRoutes()
    routes = parse(AlertRoutes, read_yaml(path), path)
    for position, receiver in enumerate(routes.receivers):
        if receiver.name in {other.name for other in routes.receivers[:position]}:
            remedy = "give each receiver a name of its own"
            raise GovernanceError(path, f"receivers[{position}].name", f"{receiver.name!r} stands twice", remedy)
    if routes.route.receiver is None:
        raise GovernanceError(path, "route.receiver", "the root of the tree needs a receiver", "name one of receivers")
    if routes.route.matchers or routes.route.continue_:
        problem = "the root takes every alert"
        raise GovernanceError(path, "route", problem, "leave matchers and continue to routes below it")
    for key, route in _nodes(routes.route, "route"):
        if route.receiver is not None and route.receiver not in routes.receiver_of:
            known = ", ".join(sorted(routes.receiver_of))
            problem = f"no receiver is called {route.receiver!r}; there are {known}"
            raise GovernanceError(path, f"{key}.receiver", problem, "name one of them, or add it")
    return routes


def _nodes(route: Route, key: str) -> Iterator[tuple[str, Route]]:
    yield key, route
    for position, child in enumerate(route.routes):
        yield from _nodes(child, f"{key}.routes[{position}]")
