"""What a night tells: its digests, what was refused or could not be judged, and that it ran.

Does not belong here: what single alerts say (``digests``, ``immediate``), sending (``delivery``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from omgov_assets.anomaly_alert.alerts import BLOCKING_CHECK, REFUSED_BATCH, UNFINISHED_NIGHT, Alert
from omgov_assets.anomaly_alert.digests import NightDigests, read_digests, write_digests
from omgov_assets.anomaly_alert.immediate import heartbeat, refused_batches, unjudged_checks
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.raising import Raised, Scope, raise_alerts
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import Governance


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
        governance: alert routes, systems, wording.
        report: folder of the reports.
        day: business day.
    """
    routes = governance.alerts
    digests = read_digests(lake, day, routes, governance.wording, report)
    refused, unjudged = refused_batches(lake, day), unjudged_checks(lake, day)
    page = f"{routes.report_url or report.name}/{day}/index.html"
    ran = heartbeat(digests, len(refused), len(unjudged), page)
    text = day.isoformat()
    looked_at = [
        Scope({"alertname": REFUSED_BATCH, "day": text}, day),
        Scope({"alertname": UNFINISHED_NIGHT, "day": text}, day),
        # Checks of other assets than the systems' datasets were not looked at here.
        *(
            Scope({"alertname": BLOCKING_CHECK, "day": text, "system": name}, day)
            for name in sorted(governance.systems)
        ),
    ]
    return NightAlerts(digests, [*digests.alerts, *refused, *unjudged, ran], looked_at)


def tell_of_night(
    lake: Lake, governance: Governance, report: Path, outbox: Outbox, day: date, now: datetime
) -> tuple[NightAlerts, Raised]:
    """Write ``alerts/digests`` of a night and raise its alerts. A night run again tells nothing twice.

    Args:
        lake: the lake.
        governance: alert routes, systems, wording.
        report: folder of the reports.
        outbox: where messages are written, all at once, after the lake.
        day: business day.
        now: time, with its zone.
    """
    night = alerts_of_night(lake, governance, report, day)
    write_digests(lake, night.digests, governance.alerts)
    return night, raise_alerts(outbox, night.alerts, governance.alerts, now, night.looked_at)
