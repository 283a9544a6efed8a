"""Standing waivers: what is accepted of a CI, application, support group or policy until a day, whatever comes.

``exceptions/waivers`` is append-only: a waiver is granted, and perhaps ended before its time. It marks open members
from the next night on, and hides nothing: statistics, rankings and scores count on.

Does not belong here: waiving single cases (``acts``), what a waiver does to a case (``case_night``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import md5
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.exception_management.acts import Person, last_day
from omgov_assets.exception_management.deadlines import require_possible_end
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.exception_management.state import cases_held
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS, WAIVERS

# What a standing waiver can be for.
CONDITIONS = ("ci_id", "application_id", "support_group_id", "policy_id")
# A member that several policies found is waived by a policy only where it is the only one.
_MATCHES = """
(waivers.ci_id IS NULL OR waivers.ci_id = members.ci_id)
AND (
    waivers.application_id IS NULL
    OR list_contains(members.application_ids::JSON::VARCHAR[], waivers.application_id)
)
AND (waivers.support_group_id IS NULL OR waivers.support_group_id = members.responsible)
AND (waivers.policy_id IS NULL OR members.policy_ids::JSON::VARCHAR[] = [waivers.policy_id])
AND members.state = 'open'
"""
_MARKED_SQL = f"""
CREATE OR REPLACE TEMP TABLE members AS
WITH marks AS (
    SELECT members.case_id, members.anomaly_id, waivers.waiver_id
    FROM unmarked_members AS members
    JOIN waivers ON {_MATCHES}
    -- Of several, the one that lasts longest.
    QUALIFY row_number() OVER (
        PARTITION BY members.case_id, members.anomaly_id
        ORDER BY waivers.until DESC, waivers.waiver_id
    ) = 1
)
SELECT unmarked_members.*, marks.waiver_id
FROM unmarked_members
LEFT JOIN marks USING (case_id, anomaly_id)
"""  # noqa: S608 - a condition of this module
_WAIVED_CASES_SQL = """
SELECT case_id, min_by(waivers.waiver_id, (waivers.until, waivers.waiver_id)) AS waiver_id
FROM members
LEFT JOIN waivers USING (waiver_id)
WHERE state = 'open'
GROUP BY case_id
HAVING bool_and(members.waiver_id IS NOT NULL)
"""
_COVERED_SQL = f"""
SELECT count(*), count(DISTINCT case_id)
FROM members
SEMI JOIN waivers ON {_MATCHES}
"""  # noqa: S608 - a condition of this module
_KNOWN_SQL = """
SELECT
    granted.waiver_id, granted.ci_id, granted.application_id, granted.support_group_id, granted.policy_id,
    granted.until, granted.reason, granted.acted_by AS granted_by, granted.day AS granted_day,
    ended.day AS ended_day, ended.acted_by AS ended_by
FROM all_waivers AS granted
LEFT JOIN all_waivers AS ended ON ended.waiver_id = granted.waiver_id AND ended.kind = 'ended'
WHERE granted.kind = 'granted'
ORDER BY granted.until, granted.waiver_id
"""


@dataclass(frozen=True)
class Waiver:
    """A standing waiver; a member is under it that meets all that is not None.

    Attributes:
        waiver_id: identifier.
        ci_id: CI. application_id: application that hangs on the member's CI. support_group_id: who is responsible.
        policy_id: the policy that found it.
        until: last day. reason: why. granted_by: who granted it.
        granted_day: last governed day then; it holds from the next night on.
        ended_day: last governed day when it was ended before its time. ended_by: by whom.
    """

    waiver_id: str
    ci_id: str | None
    application_id: str | None
    support_group_id: str | None
    policy_id: str | None
    until: date
    reason: str
    granted_by: str
    granted_day: date
    ended_day: date | None = None
    ended_by: str | None = None

    @property
    def conditions(self) -> dict[str, str]:
        """What it is for, by ``CONDITIONS``."""
        values = {name: getattr(self, name) for name in CONDITIONS}
        return {name: value for name, value in values.items() if value is not None}

    def is_in_force(self, day: date) -> bool:
        """Whether the night of a day goes by it."""
        return self.granted_day < day <= self.until and (self.ended_day is None or day <= self.ended_day)


class UnknownWaiverError(LookupError):
    """A standing waiver that nobody granted, or that is over."""


def known_waivers(lake: Lake, con: duckdb.DuckDBPyConnection) -> list[Waiver]:
    """All standing waivers that were ever granted, those that end first first."""
    lake.register(con, "all_waivers", WAIVERS, None)
    return [Waiver(**row) for row in con.sql(_KNOWN_SQL).to_arrow_table().to_pylist()]


def waivers_in_force(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> list[Waiver]:
    """Standing waivers that the night of a day goes by, those that end first first."""
    return [waiver for waiver in known_waivers(lake, con) if waiver.is_in_force(day)]


def mark_members(con: duckdb.DuckDBPyConnection, waivers: Sequence[Waiver]) -> dict[str, Waiver]:
    """Make the temporary table ``members`` of ``unmarked_members``: with waiver_id, the waiver an open one is under.

    Returns:
        The waiver that ends first by case, of cases all of whose open members are under one.
    """
    _register(con, waivers)
    con.execute(_MARKED_SQL)
    by_id = {waiver.waiver_id: waiver for waiver in waivers}
    return {case_id: by_id[waiver_id] for case_id, waiver_id in con.execute(_WAIVED_CASES_SQL).fetchall()}


def covered_members(lake: Lake, day: date, conditions: Mapping[str, str]) -> tuple[int, int]:
    """How many open members of a day, and of how many cases, a waiver with these conditions would be for."""
    waiver = _waiver("", conditions, date.max, "", "", day)
    with lake.connect() as con:
        lake.register(con, "members", CASE_MEMBERS, day)
        _register(con, [waiver])
        members, cases = one_row(con, _COVERED_SQL)
    return members, cases


def grant_waiver(
    lake: Lake, rules: CaseRules, person: Person, conditions: Mapping[str, str], reason: str, until: date
) -> str:
    """Accept what a CI, application, support group or policy has, or comes to have, until a day, which counts.

    Args:
        lake: the lake.
        rules: what cases go by.
        person: who grants it.
        conditions: of ``CONDITIONS``, what it is for; a member meets all.
        reason: why.
        until: its last day.

    Returns:
        Identifier of the waiver.

    Raises:
        ValueError: nobody acts, without a reason, or for nothing in particular.
        IllegalActError: the day has passed, or is later than the firm's longest waiver.
    """
    if not person.name.strip() or not reason.strip():
        raise ValueError("say who acts, and why")
    if not conditions or not set(conditions) <= set(CONDITIONS):
        raise ValueError(f"name what it is for by {', '.join(CONDITIONS)}")
    with cases_held(lake):
        day = last_day(lake)
        require_possible_end(until, day, rules)
        told = [f"{name}={conditions[name]}" for name in sorted(conditions)]
        text = "\x1f".join([day.isoformat(), person.name, person.at.isoformat(), until.isoformat(), reason, *told])
        waiver_id = md5(text.encode(), usedforsecurity=False).hexdigest()[:12]
        _append(lake, day, person, _waiver(waiver_id, conditions, until, reason, person.name, day), "granted")
    return waiver_id


def end_waiver(lake: Lake, person: Person, waiver_id: str, reason: str) -> None:
    """End a standing waiver from the next night on. Raises ``UnknownWaiverError`` where none like that stands."""
    if not person.name.strip() or not reason.strip():
        raise ValueError("say who acts, and why")
    with cases_held(lake):
        day = last_day(lake)
        with lake.connect() as con:
            standing = [w for w in known_waivers(lake, con) if w.ended_day is None and w.until > day]
        matching = [waiver for waiver in standing if waiver.waiver_id.startswith(waiver_id)] if waiver_id else []
        if len(matching) != 1:
            many = f"{len(matching)} standing waivers begin" if matching else "no standing waiver begins"
            raise UnknownWaiverError(f"{many} with {waiver_id!r}; `omgov cases waivers` names them")
        _append(lake, day, person, dataclasses.replace(matching[0], reason=reason), "ended")


def _waiver(
    waiver_id: str, conditions: Mapping[str, str], until: date, reason: str, granted_by: str, day: date
) -> Waiver:
    return Waiver(
        waiver_id,
        ci_id=conditions.get("ci_id"),
        application_id=conditions.get("application_id"),
        support_group_id=conditions.get("support_group_id"),
        policy_id=conditions.get("policy_id"),
        until=until,
        reason=reason,
        granted_by=granted_by,
        granted_day=day,
    )


def _append(lake: Lake, day: date, person: Person, waiver: Waiver, kind: str) -> None:
    row: dict[str, Any] = {
        "day": day,
        "waiver_id": waiver.waiver_id,
        "kind": kind,
        **{name: getattr(waiver, name) for name in CONDITIONS},
        "until": waiver.until,
        "reason": waiver.reason,
        "acted_by": person.name,
        "happened_at": person.at,
    }
    lake.append(WAIVERS, day, pa.Table.from_pylist([row], schema=lake.schema(WAIVERS).arrow))


def _register(con: duckdb.DuckDBPyConnection, waivers: Sequence[Waiver]) -> None:
    names = ("waiver_id", *CONDITIONS)
    table = pa.table(
        {name: pa.array([getattr(waiver, name) for waiver in waivers], pa.string()) for name in names}
        | {"until": pa.array([waiver.until for waiver in waivers], pa.date32())}
    )
    con.register("rows of waivers", table)
    con.execute('CREATE OR REPLACE TEMP TABLE waivers AS FROM "rows of waivers"')
    con.unregister("rows of waivers")
