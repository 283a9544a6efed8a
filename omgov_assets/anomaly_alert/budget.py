"""How many messages a night may have, and what one costs.

A message is what one receiver is told at one time: it counts once however many sinks the receiver has, however often
delivery is tried, and whether it says that something holds or that it is over. Does not belong here: which alerts there
are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.routing import destinations, group_alerts
from omgov_assets.model_management.alert_routes import AlertRoutes

# Messages that may still come of a night, or of what it ended: a failed run; a night that is late, and that it is
# finished; that refused batches, unjudged checks, and the office's overdue cases are over.
LATER_MESSAGES = 6
# The digest of the governance office.
OFFICE_MESSAGES = 1


def most_messages(anomalies: int, share: float) -> int:
    """Messages of a night at most, so that they are no more than a share of its anomalies."""
    return math.floor(share * anomalies)


def cost_of(routes: AlertRoutes, labels: Mapping[str, str]) -> int:
    """Messages that an alert with a group of its own makes: one for each place that it is routed to."""
    return len(destinations(routes.route, labels))


def messages_of(routes: AlertRoutes, alerts: Iterable[Alert]) -> int:
    """Messages that alerts make at most, those of one group in one message."""
    return len(group_alerts(routes.route, alerts))
