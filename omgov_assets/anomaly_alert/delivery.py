"""Sending what is due: one message after the other, whatever becomes of the one before.

Does not belong here: how a message travels (``transports``), what is to be sent (``raising``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from omgov_assets.anomaly_alert.outbox import Message, Outbox
from omgov_assets.model_management.alert_routes import Delivery

# Longer than any attempt may take: a second sender takes a message only when the first one must be dead.
LEASE = timedelta(minutes=5)


# A sink that failed so often in a row is left alone until the next time: it must not keep the others waiting.
FAILURES_IN_A_ROW = 3


class DeliveryError(Exception):
    """A sink did not take a message; the text says why, without any secret.

    Attributes:
        of_message: whether it lies with this one message, so that others may arrive all the same.
    """

    def __init__(self, reason: str, of_message: bool = False) -> None:
        super().__init__(reason)
        self.of_message = of_message


@dataclass(frozen=True)
class Delivered:
    """What ``deliver_due`` did.

    Attributes:
        sent: messages that their sinks took.
        failed: attempts that failed and will be made again.
        dead: messages that became dead letters.
    """

    sent: int = 0
    failed: int = 0
    dead: int = 0


def deliver_due(
    outbox: Outbox,
    send: Callable[[Message], None],
    delivery: Delivery,
    clock: Callable[[], datetime],
    budget_s: float | None = None,
    lease: timedelta = LEASE,
) -> Delivered:
    """Try once to send each message that is due. Nothing that a sink does raises here.

    What is due for a sink that fails again and again is left for the next time. A message is claimed before it is sent:
    where this process dies in between, it is sent again after the lease.

    Args:
        outbox: the outbox.
        send: hands a message to its sink; raises where the sink did not take it.
        delivery: how failures are tried again.
        clock: the time, with its zone.
        budget_s: seconds after which no further message is begun.
        lease: how long a claimed message is left alone.
    """
    began, started = clock(), time.monotonic()
    sent = failed = dead = 0
    in_a_row: Counter[str] = Counter()
    while budget_s is None or time.monotonic() - started < budget_s:
        # What fails becomes due again later: only what was due at the beginning is tried, each once.
        down = [sink for sink, failures in in_a_row.items() if failures >= FAILURES_IN_A_ROW]
        message = outbox.claim(began, delivery, lease, down)
        if message is None:
            break
        try:
            send(message)
        except DeliveryError as error:
            reason = str(error)
            in_a_row[message.sink] += not error.of_message
        except Exception as error:
            # The text of an error that nobody foresaw may hold an address or a token: its kind must do.
            reason = f"the transport broke: {type(error).__name__}"
            in_a_row[message.sink] += 1
        else:
            in_a_row[message.sink] = 0
            outbox.sent(message.key, clock())
            sent += 1
            continue
        if outbox.failed(message, reason, max(clock(), began), delivery) == "dead":
            dead += 1
        else:
            failed += 1
    return Delivered(sent, failed, dead)
