"""How a message travels: apprise (mail, chat, webhooks) and the API v2 of Alertmanager.

A sink that does not take a message gives a ``DeliveryError`` whose text holds no secret: neither a URL of apprise nor
what a library said about one. Does not belong here: when something is sent (``delivery``).
"""

from __future__ import annotations

import json
import logging
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from urllib.parse import quote

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.delivery import DeliveryError
from omgov_assets.anomaly_alert.outbox import Message
from omgov_assets.anomaly_alert.rendering import text_of, title_of

TIMEOUT_S = 20

# Alertmanager takes an alert for resolved at its end. What stands is resolved by a notice of its own; what is about
# one night is shown for a day.
STANDS = timedelta(days=400)
SHOWN = timedelta(days=1)

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

# Gives the mail address of an owner or support group (kind, key), or None where there is none.
AddressOf = Callable[[str, str], str | None]


def no_address(_kind: str, _key: str) -> str | None:
    """Knows nobody's address."""
    return None


@dataclass(frozen=True)
class Transports:
    """Hands messages to their sinks.

    Attributes:
        environment: where the URLs of apprise are.
        address_of: addresses of those whom digests are for; looked up when a message is sent, and kept nowhere.
        clock: the time, with its zone.
    """

    environment: Mapping[str, str]
    address_of: AddressOf = no_address
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))

    def send(self, message: Message) -> None:
        """Send one message by the sink that it names. Raises ``DeliveryError``."""
        kind, _, place = message.sink.partition(":")
        if kind == "apprise":
            send_by_apprise(self.apprise_url(place, message.alerts), message.alerts, message.key, place)
        elif kind == "alertmanager":
            post_to_alertmanager(place, message.alerts, self.clock())
        else:
            raise DeliveryError(f"{kind}: no such kind of sink; this omgov knows apprise and alertmanager")

    def apprise_url(self, variable: str, alerts: Sequence[Alert]) -> str:
        """The URL in an environment variable, its placeholders filled in. Raises ``DeliveryError``."""
        template = self.environment.get(variable, "").strip()
        if not template:
            raise DeliveryError(f"{variable} is not set: give it a URL of apprise")
        recipients = {(alert.labels.get("recipient_kind", ""), alert.labels.get("recipient", "")) for alert in alerts}

        def filled(matched: re.Match[str]) -> str:
            name = matched.group(1)
            if name not in {"recipient", "email"}:
                raise DeliveryError(f"{variable} has the placeholder {{{name}}}; there are {{recipient}} and {{email}}")
            if len(recipients) != 1 or ("", "") in recipients:
                raise DeliveryError(
                    f"{variable} has {{{name}}}, but the message is not for one recipient", of_message=True
                )
            ((kind, key),) = recipients
            value = key if name == "recipient" else self.address_of(kind, key)
            if not value:
                raise DeliveryError(f"the CMDB knows no address of {kind} {key}", of_message=True)
            return quote(value, safe="@")

        return _PLACEHOLDER.sub(filled, template)


def send_by_apprise(url: str, alerts: Sequence[Alert], key: str, name: str) -> None:
    """Send alerts by one URL of apprise.

    Args:
        url: the URL, which may hold secrets.
        alerts: what to say.
        key: key of the message.
        name: what to call the URL in errors.

    Raises:
        DeliveryError: apprise does not understand the URL, or says that it did not deliver.
    """
    # At DEBUG apprise logs tokens, and its warnings quote what servers answered: whatever the root logger is set to.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    # Its import costs a third of a second, and most commands send nothing.
    import apprise

    service = apprise.Apprise()
    if not service.add(url):
        raise DeliveryError(f"{name} holds no URL that apprise understands")
    result = service.notify(
        body=text_of(alerts, key),
        title=title_of(alerts),
        body_format=apprise.NotifyFormat.TEXT,
        notify_type=apprise.NotifyType.INFO
        if all(a.status == "resolved" for a in alerts)
        else apprise.NotifyType.WARNING,
    )
    if not result:
        raise DeliveryError(f"{name}: apprise could not deliver (is the server up, are address and token right?)")


def post_to_alertmanager(url: str, alerts: Sequence[Alert], now: datetime) -> None:
    """Hand alerts to an Alertmanager. Raises ``DeliveryError``."""
    body = json.dumps([alertmanager_alert(alert, now) for alert in alerts], ensure_ascii=False).encode()
    request = urllib.request.Request(  # noqa: S310 - http and https alone pass `governance/`
        f"{url.rstrip('/')}/api/v2/alerts", data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"{url} answered with HTTP status {error.code}") from error
    except (OSError, ValueError) as error:
        raise DeliveryError(f"{url} cannot be reached: {type(error).__name__}") from error
    if status != 200:
        raise DeliveryError(f"{url} answered with HTTP status {status}")


def alertmanager_alert(alert: Alert, now: datetime) -> dict[str, object]:
    """An alert as the API v2 takes it."""
    begins = datetime.combine(alert.starts_at, time(), UTC)
    ends = now if alert.status == "resolved" else now + (SHOWN if alert.is_momentary else STANDS)
    return {
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": min(begins, now).isoformat(),
        "endsAt": ends.isoformat(),
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An Alertmanager does not redirect; whoever does is not one, and gets no alerts."""

    def redirect_request(self, *_: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)
