"""What a night tells: its digests, what was refused or could not be judged, and that it ran.

Does not belong here: what single alerts say (``digests``, ``immediate``), sending (``delivery``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from omgov_assets.anomaly_alert.alerts import BLOCKING_CHECK, HEARTBEAT, REFUSED_BATCH, UNFINISHED_NIGHT, Alert
from omgov_assets.anomaly_alert.budget import LATER_MESSAGES, OFFICE_MESSAGES, cost_of, messages_of, most_messages
from omgov_assets.anomaly_alert.digests import NightDigests, read_digests, write_digests
from omgov_assets.anomaly_alert.immediate import heartbeat, refused_batches, unjudged_checks
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.overdue import overdue_cases
from omgov_assets.anomaly_alert.raising import Raised, Scope, raise_alerts
from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_analysis.anomalies import ANOMALIES


@dataclass(frozen=True)
class NightAlerts:
    """What a night has to tell.

    Attributes:
        digests: its digests.
        alerts: all its alerts, the heartbeat last.
        looked_at: what was looked at in full, so that what is gone is over.
    """

    digests: NightDigests
    alerts: list[Alert]
    looked_at: list[Scope]


def alerts_of_night(lake: Lake, governance: Governance, report: Path, day: date) -> NightAlerts:
    """The alerts of a night that has been analysed; writes nothing.

    Args:
        lake: the lake.
        governance: alert routes, exception rules, systems, wording.
        report: folder of the reports.
        day: business day.

    Raises:
        NoCasesError: anomalies of the day are in no open case.
    """
    routes, text = governance.alerts, day.isoformat()
    refused, unjudged = refused_batches(lake, day), unjudged_checks(lake, day)
    # Groups by route, and a heartbeat besides: how many of these there are leaves room for the rest.
    at_once = [*refused, *unjudged]
    others = messages_of(routes, at_once) + cost_of(routes, {"alertname": HEARTBEAT, "day": text})
    others += OFFICE_MESSAGES + LATER_MESSAGES
    room = most_messages(_anomalies(lake, day), routes.digests.most_messages_share) - others
    late, looked_at_late = overdue_cases(lake, day, governance.wording, room // 2)
    digests = read_digests(lake, governance, report, day, others + messages_of(routes, late))
    page = f"{routes.report_url or report.name}/{day}/index.html"
    ran = heartbeat(digests, len(refused), len(unjudged), page)
    looked_at = [
        Scope({"alertname": REFUSED_BATCH, "day": text}, day),
        Scope({"alertname": UNFINISHED_NIGHT, "day": text}, day),
        # Checks of other assets than the systems' datasets were not looked at here.
        *(
            Scope({"alertname": BLOCKING_CHECK, "day": text, "system": name}, day)
            for name in sorted(governance.systems)
        ),
        *looked_at_late,
    ]
    return NightAlerts(digests, [*digests.alerts, *at_once, *late, ran], looked_at)


def _anomalies(lake: Lake, day: date) -> int:
    with lake.connect() as con:
        lake.register(con, "identified", ANOMALIES, day)
        (number,) = one_row(con, "SELECT count(*) FROM identified")
    return int(number)


def tell_of_night(
    lake: Lake, governance: Governance, report: Path, outbox: Outbox, day: date, now: datetime
) -> tuple[NightAlerts, Raised]:
    """Write ``alerts/digests`` of a night and raise its alerts. A night run again tells nothing twice.

    First the outbox forgets what is older than ``delivery.keep``.

    Args:
        lake: the lake.
        governance: alert routes, exception rules, systems, wording.
        report: folder of the reports.
        outbox: where messages are written, all at once, after the lake.
        day: business day.
        now: time, with its zone.
    """
    outbox.prune(now - governance.alerts.delivery.keep)
    night = alerts_of_night(lake, governance, report, day)
    write_digests(lake, night.digests, governance.alerts)
    return night, raise_alerts(outbox, night.alerts, governance.alerts, now, night.looked_at)
