"""Cases that are not done in time, as alerts: for the support group that leads each, and escalated ones for the office.

They stand until a later night has the case closed or waived. Does not belong here: when a case is overdue
(``exception_management``), what such an alert says (``immediate``).
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

from omgov_assets.anomaly_alert.alerts import ESCALATED_CASE, LANGUAGES, OVERDUE_CASE, Alert
from omgov_assets.anomaly_alert.case_words import GOVERNANCE_OFFICE, what_is_wrong
from omgov_assets.anomaly_alert.digests import register_people
from omgov_assets.anomaly_alert.immediate import OverdueCase, escalated_case, overdue_case
from omgov_assets.anomaly_alert.raising import Scope
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.case_tables import CASES

_OVERDUE_SQL = read_sql(Path(__file__).with_name("overdue.sql"))


def overdue_cases(lake: Lake, day: date, wording: Wording, most_recipients: int) -> tuple[list[Alert], list[Scope]]:
    """Alerts for the cases that are overdue, and what was looked at in full.

    Only the last day of cases knows what is overdue now: an earlier night that is run again says nothing.

    Args:
        lake: the lake.
        day: business day.
        wording: what anomaly types are called.
        most_recipients: support groups that are told at most, those with the oldest due day first; of the others' cases
            the governance office is told.
    """
    days = lake.days(CASES)
    if not days or days[-1] > day:
        return [], []
    with lake.connect() as con:
        register_people(lake, con, day)
        lake.register(con, "cases", CASES, days[-1])
        rows = con.sql(_OVERDUE_SQL).to_arrow_table().to_pylist()
    groups = Counter(row["support_group_id"] for row in rows if row["support_group_id"] is not None)
    # Rows come with the oldest due day first: who was told yesterday is before who is new today.
    told = list(groups)[: max(0, most_recipients)]
    alerts = []
    for row in rows:
        kind, key = GOVERNANCE_OFFICE, GOVERNANCE_OFFICE
        if row["support_group_id"] in told:
            kind, key = "support_group", row["support_group_id"]
        what = {code: what_is_wrong(code, wording, row, [row["anomaly_type"]]) for code in LANGUAGES}
        case = OverdueCase(
            row["case_id"],
            what,
            row["opened_day"],
            row["due_day"],
            row["open_members"],
            kind,
            key,
            row["support_group_id"],
        )
        alerts.append(overdue_case(case))
        if row["is_escalated"]:
            alerts.append(escalated_case(case))
    return alerts, [Scope({"alertname": name}, day) for name in (OVERDUE_CASE, ESCALATED_CASE)]
