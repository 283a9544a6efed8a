"""The night of cases: which members come, go and come back, and what that does to their cases.

Belongs here: ``update_cases``. Does not belong here: what became of an anomaly (``quality_analysis.outcomes``), which
event is legal (``lifecycle``), what people do (``acts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake, create_view, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.exception_management.case_night import CaseNight
from omgov_assets.exception_management.events import case_events_of, create_expected_events, log_night, payload_text
from omgov_assets.exception_management.lifecycle import Case
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.exception_management.state import (
    NO_MEMBERS,
    cases_held,
    cases_of,
    counts_by_case,
    go_through,
    write_cases,
    write_members,
)
from omgov_assets.exception_management.waivers import Waiver, mark_members, waivers_in_force
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.quality_analysis.case_tables import CASES
from omgov_assets.quality_analysis.cmdb import SYSTEM, create_ci_dimensions, register_cmdb
from omgov_assets.quality_analysis.history import register_days
from omgov_assets.quality_analysis.inventory import register_inventory
from omgov_assets.quality_analysis.outcomes import judge_what_is_gone
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import register_explained
from omgov_assets.quality_analysis.statistics import judged_versions
from omgov_assets.quality_policy.violations import CHECK_RESULTS

_ROUTING_SQL, _HELD_SQL, _MEMBER_CHANGES_SQL, _ARRIVING_SQL, _OPENED_SQL, _MEMBERS_AFTER_SQL = (
    read_sql(Path(__file__).with_name(f"{name}.sql"))
    for name in ("routing", "held", "member_changes", "arriving", "opened", "members_after")
)
_GONE_SQL = """
SELECT * REPLACE (policy_ids::JSON::VARCHAR[] AS policy_ids)
FROM members_before
WHERE state = 'open'
"""
_CHANGES_SQL = """
SELECT case_id, kind, count(*) AS members
FROM (SELECT case_id, kind FROM member_changes UNION ALL SELECT case_id, 'member_added' FROM arriving)
GROUP BY ALL
"""
# Who has most of the open members that were seen: an owner who is no longer active, or anybody else (null).
_INACTIVE_SQL = """
SELECT case_id, inactive_owner_id
FROM (
    SELECT case_id, inactive_owner_id, count(*) AS anomalies
    FROM members
    JOIN today USING (anomaly_id)
    WHERE state = 'open'
    GROUP BY ALL
)
QUALIFY row_number() OVER (PARTITION BY case_id ORDER BY anomalies DESC, inactive_owner_id NULLS LAST) = 1
"""


@dataclass(frozen=True)
class CasesSummary:
    """What ``update_cases`` did.

    Attributes:
        day: business day.
        cases: cases of the day, those closed a short time ago among them.
        open_cases: cases that are worked on or waived.
        open_members: anomalies that are open members of a case.
        events_added: events that the log lacked, of this day and of following ones that were gone through again.
        acts_without_effect: acts of people on the day that a corrected night has left nothing to act on.
        following_days: days after it that were gone through again.
        version: Delta version of ``exceptions/cases``.
    """

    day: date
    cases: int
    open_cases: int
    open_members: int
    events_added: int
    acts_without_effect: int
    following_days: tuple[date, ...]
    version: int


def update_cases(lake: Lake, day: date, rules: CaseRules) -> CasesSummary:
    """Bring cases up to a day whose anomalies and causes have been found; see ``docs/decisions/0015-cases.md``.

    Anomalies that are members of no case join the open case of their cause, anomaly type and responsible group, or
    open one. A member is resolved where it was judged again and passed, withdrawn where its instance left the
    inventory, and stays open where it was not judged. A case without open members is closed; a member that comes back
    in time reopens it. Run again, a night writes no event that is there already. Following days whose cases are there
    are gone through again.

    Args:
        lake: the lake.
        day: business day.
        rules: what cases go by.
    """
    with cases_held(lake):
        summary, added = _update(lake, day, rules)
        following = tuple(other for other in lake.days(CASES) if other > day)
        for other in following:
            added += _update(lake, other, rules)[1]
    return CasesSummary(**summary, events_added=added, following_days=following)


def _update(lake: Lake, day: date, rules: CaseRules) -> tuple[dict[str, Any], int]:
    with lake.connect() as con:
        before = _register_before(lake, con, day, rules)
        versions = _register_day(lake, con, day, rules)
        judge_what_is_gone(con)
        con.execute(_HELD_SQL)
        con.execute(_MEMBER_CHANGES_SQL, {"day": day, "reopening_days": rules.exceptions.reopening_days})
        con.execute(_ARRIVING_SQL, {"day": day})
        con.execute(_MEMBERS_AFTER_SQL, {"day": day})
        waivers = mark_members(con, waivers_in_force(lake, con, day))
        _expect_events(con, day, before, waivers, rules)
        log = log_night(lake, con, day, day_bounds(day, rules.zone)[1])
        cases = dict(before)
        without_effect = go_through(con, cases, case_events_of(con, "day = $day", {"day": day}))
        write_members(lake, con, day)
        version = write_cases(lake, con, day, cases, rules, versions)
        (open_members,) = one_row(con, "SELECT count(*) FROM members WHERE state = 'open'")
    summary = {
        "day": day,
        "cases": len(cases),
        "open_cases": sum(case.is_worked_on for case in cases.values()),
        "open_members": open_members,
        "acts_without_effect": len(without_effect),
        "version": version,
    }
    return summary, log.added


def _register_before(lake: Lake, con: duckdb.DuckDBPyConnection, day: date, rules: CaseRules) -> dict[str, Case]:
    """Cases of the last day before that can still change, the tables ``cases_before`` and ``members_before``."""
    oldest = day - timedelta(days=rules.exceptions.reopening_days)
    cases = {
        # Events are numbered in their day.
        case_id: replace(case, last_seq=0)
        for case_id, case in cases_of(lake, con, lake.previous_day(CASES, day)).items()
        if case.is_worked_on or (case.closed_day is not None and case.closed_day >= oldest)
    }
    rows = [
        {
            "case_id": case.case_id,
            "status": case.status,
            "cause_id": case.cause_id,
            "anomaly_type": case.anomaly_type,
            "scope": case.scope,
            "opened_day": case.opened_day,
            "is_split": case.split_from is not None,
        }
        for case in cases.values()
    ]
    con.register("rows of cases", pa.Table.from_pylist(rows, _CASES_BEFORE))
    con.execute('CREATE OR REPLACE TEMP TABLE cases_before AS FROM "rows of cases"')
    con.unregister("rows of cases")
    con.execute("CREATE OR REPLACE TEMP TABLE members_before AS FROM members SEMI JOIN cases_before USING (case_id)")
    return cases


def _register_day(lake: Lake, con: duckdb.DuckDBPyConnection, day: date, rules: CaseRules) -> dict[str, int]:
    """The day's anomalies with who answers for each as ``today``, and what ``judge_what_is_gone`` needs."""
    versions: dict[str, int | None] = {}
    # A night without CMDB goes by the last one.
    items = f"{SYSTEM}/configuration_items"
    known = day if lake.has_day(items, day) else lake.previous_day(items, day)
    versions.update(register_cmdb(lake, con, known or day))
    create_ci_dimensions(con)
    register_explained(lake, con, day)
    lake.register(con, "root_causes", ROOT_CAUSES, day)
    lake.register(con, "check_results", CHECK_RESULTS, day)
    versions |= judged_versions(con)
    engineers = {"system": list(rules.data_engineers), "email": list(rules.data_engineers.values())}
    con.register("engineers", pa.table(engineers, schema=pa.schema([("system", pa.string()), ("email", pa.string())])))
    routing = {"office": rules.exceptions.governance_office, "unexplained_by": rules.exceptions.unexplained_by}
    con.execute(_ROUTING_SQL, routing)
    versions.update(register_inventory(lake, con, day, tuple(rules.data_engineers)))
    create_view(con, "previous_anomalies", _GONE_SQL)
    days = con.execute("SELECT DISTINCT last_seen_day FROM members_before WHERE state = 'open' ORDER BY 1").fetchall()
    register_days(lake, con, "previous_check_results", CHECK_RESULTS, (seen for (seen,) in days))
    # Of a day that a table does not hold, its version says nothing.
    return {table: version for table, version in versions.items() if version is not None and lake.has_day(table, day)}


def _expect_events(
    con: duckdb.DuckDBPyConnection,
    day: date,
    before: Mapping[str, Case],
    waivers: Mapping[str, Waiver],
    rules: CaseRules,
) -> None:
    """Fill the table ``expected_events`` with all that the night says."""
    create_expected_events(con)
    con.execute(
        "INSERT INTO expected_events SELECT case_id, anomaly_id, kind, '{}' FROM member_changes "
        "UNION ALL SELECT case_id, anomaly_id, 'member_added', '{}' FROM arriving"
    )
    counts = counts_by_case(con)
    changes: dict[str, dict[str, int]] = {}
    for case_id, kind, members in con.execute(_CHANGES_SQL).fetchall():
        changes.setdefault(case_id, {})[kind.removeprefix("member_")] = members
    opened = con.sql(_OPENED_SQL, params={"office": rules.exceptions.governance_office})
    beginnings = {row.pop("case_id"): row for row in opened.to_arrow_table().to_pylist()}
    inactive = dict(con.execute(_INACTIVE_SQL).fetchall())
    nights = (
        CaseNight(
            case_id,
            day,
            rules,
            counts.get(case_id, NO_MEMBERS),
            changes.get(case_id, {}),
            waivers.get(case_id),
            case_id in inactive,
            inactive.get(case_id),
        )
        for case_id in sorted({*before, *beginnings})
    )
    rows = [
        {"case_id": event.case_id, "anomaly_id": None, "kind": event.kind, "payload": payload_text(event.payload)}
        for night in nights
        for event in night.events(before.get(night.case_id), beginnings.get(night.case_id))
    ]
    con.register("rows of events", pa.Table.from_pylist(rows, _EXPECTED))
    con.execute('INSERT INTO expected_events FROM "rows of events"')
    con.unregister("rows of events")


_CASES_BEFORE = pa.schema(
    [
        ("case_id", pa.string()),
        ("status", pa.string()),
        ("cause_id", pa.string()),
        ("anomaly_type", pa.string()),
        ("scope", pa.string()),
        ("opened_day", pa.date32()),
        ("is_split", pa.bool_()),
    ]
)
_EXPECTED = pa.schema(
    [("case_id", pa.string()), ("anomaly_id", pa.string()), ("kind", pa.string()), ("payload", pa.string())]
)
