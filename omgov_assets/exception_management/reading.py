"""Reading cases: those of a day by filters, one with its history and members; standing waivers.

Does not belong here: changing them (``acts``), files for the source side (``export``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.exception_management.acts import UnknownCaseError
from omgov_assets.exception_management.events import register_log
from omgov_assets.exception_management.lifecycle import legal_commands
from omgov_assets.exception_management.waivers import CONDITIONS, known_waivers
from omgov_assets.quality_analysis.case_tables import CASE_MEMBERS, CASES

_CASE_LIST_SQL = read_sql(Path(__file__).with_name("case_list.sql"))


@dataclass(frozen=True)
class CaseFilter:
    """Which cases are meant; what is None or empty does not matter.

    Attributes:
        case_ids: identifiers, or their beginnings where only one case has it.
        statuses: statuses; without any, all but closed and merged.
        severities: severities.
        responsible: who answers for the case, a support group or an e-mail address.
        group: support group (or e-mail address) that answers for an open member.
        owner_id: owner of an open member, or person it is assigned to.
        anomaly_type: anomaly type.
        cause_id: root cause by which it was opened.
        system: business system of a member.
        ci_id: CI of an open member.
        application_id: application that hangs on the CI of an open member.
        policy_id: policy of an open member.
        is_overdue: whether it is overdue.
    """

    case_ids: Sequence[str] = ()
    statuses: Sequence[str] = ()
    severities: Sequence[str] = ()
    responsible: str | None = None
    group: str | None = None
    owner_id: str | None = None
    anomaly_type: str | None = None
    cause_id: str | None = None
    system: str | None = None
    ci_id: str | None = None
    application_id: str | None = None
    policy_id: str | None = None
    is_overdue: bool | None = None


def list_cases(lake: Lake, day: date, wanted: CaseFilter) -> list[dict[str, Any]]:
    """Cases of a day that meet a filter: the overdue first, then the worst, then those with most open members.

    Returns:
        One dictionary per case: the columns of ``exceptions/cases`` but day, last_seq, rules_hash and data_versions;
        place (``place_of``).

    Raises:
        UnknownCaseError: a named case is not there, or several begin alike.
    """
    with lake.connect() as con:
        lake.register(con, "cases", CASES, day)
        lake.register(con, "members", CASE_MEMBERS, day)
        known = [row[0] for row in con.execute("SELECT case_id FROM cases ORDER BY 1").fetchall()]
        identified = [_identified(case_id, known, day) for case_id in wanted.case_ids]
        return cases_in(con, dataclasses.replace(wanted, case_ids=identified))


def cases_in(con: duckdb.DuckDBPyConnection, wanted: CaseFilter) -> list[dict[str, Any]]:
    """``list_cases`` over the views ``cases`` and ``members`` of a day; cases are named in full."""
    lists = {name: list(getattr(wanted, name)) for name in ("case_ids", "statuses", "severities")}
    values = dataclasses.asdict(wanted) | lists
    rows: list[dict[str, Any]] = con.sql(_CASE_LIST_SQL, params=values).to_arrow_table().to_pylist()
    return [row | {"place": place_of(row["cause"], row["scope"])} for row in rows]


def place_of(cause: str | None, scope: str | None) -> str:
    """Where a case's anomalies are: the conditions of its root cause, or whose anomalies without a common cause."""
    if cause is None:
        return f"{scope}, no common cause" if scope else "no common cause"
    conditions = json.loads(cause)
    return ", ".join(f"{name.replace('_', ' ')} {key}" for name, key in conditions.items() if name != "anomaly_type")


def show_case(lake: Lake, case_id: str) -> dict[str, Any]:
    """A case as it stands on the last day that holds it.

    Returns:
        The columns of ``exceptions/cases``; history, a list of day, happened_at, acted_by, kind, payload (dictionary),
        event_id in the order in which they count; legal_commands; groups, a list of responsible, open_members, cis: who
        answers for its open members; members_by, a list of anomaly_type, system, metric, ci_id, state, members, since.

    Raises:
        UnknownCaseError: no day holds it.
    """
    with lake.connect() as con:
        lake.register(con, "all_cases", CASES, None)
        known = [row[0] for row in con.execute("SELECT DISTINCT case_id FROM all_cases ORDER BY 1").fetchall()]
        found = _identified(case_id, known, None)
        (case,) = (
            con.sql(
                "SELECT * EXCLUDE (rules_hash, data_versions) FROM all_cases WHERE case_id = $case "
                "ORDER BY day DESC LIMIT 1",
                params={"case": found},
            )
            .to_arrow_table()
            .to_pylist()
        )
        register_log(lake, con)
        lake.register(con, "members", CASE_MEMBERS, case["day"])
        return case_in(con, case)


def case_in(con: duckdb.DuckDBPyConnection, case: dict[str, Any]) -> dict[str, Any]:
    """``show_case`` of a row of ``exceptions/cases``, over the views ``effective`` (the log) and ``members`` (of the
    row's day).
    """
    of_case = {"case": case["case_id"]}
    events = _rows(
        con,
        "SELECT day, happened_at, acted_by, kind, payload, event_id FROM effective "
        "WHERE case_id = $case AND anomaly_id IS NULL ORDER BY day, acted_by <> 'night', seq",
        of_case,
    )
    members_by = _rows(
        con,
        "SELECT anomaly_type, system, metric, ci_id, state, count(*) AS members, min(added_day) AS since "
        "FROM members WHERE case_id = $case GROUP BY ALL "
        "ORDER BY state, members DESC, anomaly_type, system, metric, ci_id",
        of_case,
    )
    answering = _rows(
        con,
        "SELECT responsible, count(*) AS open_members, count(DISTINCT ci_id) AS cis FROM members "
        "WHERE case_id = $case AND state = 'open' GROUP BY 1 ORDER BY 2 DESC, 1",
        of_case,
    )
    return case | {
        "place": place_of(case["cause"], case["scope"]),
        "history": [event | {"payload": json.loads(event["payload"])} for event in events],
        "legal_commands": legal_commands(case["status"]),
        "groups": answering,
        "members_by": members_by,
    }


def list_waivers(lake: Lake, day: date, every: bool = False) -> list[dict[str, Any]]:
    """Standing waivers as they are after the night of a day, those that end first first.

    Returns:
        One dictionary per waiver: waiver_id, what it is for (ci_id, application_id, support_group_id, policy_id; None
        where that does not matter), until, state (standing, or over: its last day has passed, or it was ended), members
        (open ones that are under it), reason, granted_by, granted_day, ended_day, ended_by.
    """
    with lake.connect() as con:
        waivers = known_waivers(lake, con)
        lake.register(con, "members", CASE_MEMBERS, day)
        members = dict(
            con.execute(
                "SELECT waiver_id, count(*) FROM members WHERE state = 'open' AND waiver_id IS NOT NULL GROUP BY 1"
            ).fetchall()
        )
    rows = []
    for waiver in waivers:
        stands = waiver.until > day and waiver.ended_day is None
        if stands or every:
            said = dataclasses.asdict(waiver)
            state = {"state": "standing" if stands else "over", "members": members.get(waiver.waiver_id, 0)}
            first = ("waiver_id", *CONDITIONS, "until")
            rows.append({name: said.pop(name) for name in first} | state | said)
    return rows


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = con.sql(query, params=values).to_arrow_table().to_pylist()
    return rows


def _identified(given: str, known: Sequence[str], day: date | None) -> str:
    matching = [case_id for case_id in known if case_id.startswith(given)] if given else []
    if given in known:
        return given
    if len(matching) == 1:
        return matching[0]
    when = f"{day} has" if day else "there is"
    if not matching:
        raise UnknownCaseError(f"{when} no case {given!r}; `omgov cases list` names them")
    raise UnknownCaseError(f"{given!r} begins {len(matching)} cases: {', '.join(matching[:3])}; give more of it")
