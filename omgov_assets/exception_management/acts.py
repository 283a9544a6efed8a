"""What people do with cases: acknowledge, assign, claim a fix, waive, comment, split, merge.

Every act is an event of the last governed day. Belongs here: seeing that an act is legal and that nobody was faster.
Does not belong here: what an act makes of a case (``lifecycle``), printing (``cli``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import md5
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management.deadlines import require_possible_end
from omgov_assets.exception_management.events import Act, case_events_of, log_acts, register_log
from omgov_assets.exception_management.lifecycle import Case, IllegalActError, require_legal
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.exception_management.state import cases_held, cases_of, go_through, write_cases, write_members
from omgov_assets.quality_analysis.case_tables import CASES
from omgov_assets.quality_analysis.cmdb import SYSTEM as CMDB

# By what members of a case can be told apart when it is split.
MEMBER_FILTERS = ("anomaly_id", "system", "dataset", "ci_id", "metric", "responsible", "owner_id", "severity")


SUPPORT_GROUPS = f"{CMDB}/support_groups"


class UnknownCaseError(LookupError):
    """A case that the last governed day does not hold."""


class FasterActError(RuntimeError):
    """Somebody else, or the night, did something to a case since it was looked at."""


@dataclass(frozen=True)
class Person:
    """Who acts, and when."""

    name: str
    at: datetime


def acknowledge(lake: Lake, rules: CaseRules, seen: Mapping[str, str], person: Person) -> None:
    """Say that somebody looks at the cases. ``seen`` as for all acts: case to the last event that the person knows.

    Raises:
        UnknownCaseError: there is no such case.
        IllegalActError: the status of one does not allow it; nothing is done to any.
        FasterActError: one has another last event by now; nothing is done to any.
    """
    _act(lake, rules, seen, person, lambda case, _day: [Act(case.case_id, "acknowledged", {})])


def assign(
    lake: Lake,
    rules: CaseRules,
    seen: Mapping[str, str],
    person: Person,
    to: str | None,
    group: str | None,
    reason: str,
) -> None:
    """Give cases to a person who works on them, or to another support group because this one is not responsible.

    Raises:
        IllegalActError: also where the CMDB knows no such group: nobody would see the case any more.
    """
    if (to is None) == (group is None):
        raise ValueError("name a person or a group")
    kind = "taken_on" if to is not None else "reassigned"
    payload = {"to": to if to is not None else group, "reason": reason}

    def given(case: Case, con: duckdb.DuckDBPyConnection, day: date) -> list[Act]:
        if group is not None:
            lake.register(con, "support_groups", SUPPORT_GROUPS, day)
            known = {one for (one,) in con.execute("SELECT support_group_id FROM support_groups").fetchall()}
            # A day without a CMDB can tell nobody apart.
            if known and group not in known:
                raise IllegalActError(f"there is no support group {group}; case {case.case_id} stays whose it is")
        return [Act(case.case_id, kind, payload)]

    _act_with_members(lake, rules, seen, person, given)


def claim_fix(lake: Lake, rules: CaseRules, seen: Mapping[str, str], person: Person, text: str) -> None:
    """Say that the source is fixed; the next nights verify it."""
    _act(lake, rules, seen, person, lambda case, _day: [Act(case.case_id, "fix_claimed", {"text": text})])


def waive(lake: Lake, rules: CaseRules, seen: Mapping[str, str], person: Person, reason: str, until: date) -> None:
    """Accept cases as they are until a day, which counts; what they stand for goes on being counted everywhere.

    Raises:
        IllegalActError: also where the day has passed, or is later than the firm's longest waiver.
    """

    def waived(case: Case, day: date) -> list[Act]:
        require_possible_end(until, day, rules)
        return [Act(case.case_id, "waived", {"until": until.isoformat(), "reason": reason})]

    _act(lake, rules, seen, person, waived)


def comment(
    lake: Lake, rules: CaseRules, seen: Mapping[str, str], person: Person, text: str | None, ticket: str | None
) -> None:
    """Add a comment, or the reference of an external ticket, or both."""
    if not text and not ticket:
        raise ValueError("say a text or a ticket")

    def said(case: Case, _day: date) -> list[Act]:
        acts = [Act(case.case_id, "commented", {"text": text})] if text else []
        return acts + ([Act(case.case_id, "linked", {"to": ticket})] if ticket else [])

    _act(lake, rules, seen, person, said)


def split(
    lake: Lake,
    rules: CaseRules,
    seen: Mapping[str, str],
    person: Person,
    which: Mapping[str, Sequence[str]],
    reason: str,
) -> str:
    """Make those open members of a case that the filters name a case of their own.

    Args:
        lake: the lake.
        rules: what cases go by.
        seen: the case and the last event of it that the person knows.
        person: who acts.
        which: column of ``MEMBER_FILTERS`` to the values wanted; a member meets all.
        reason: why.

    Returns:
        Identifier of the new case.

    Raises:
        IllegalActError: also where no open member is named, or every one.
    """
    (case_id,) = seen
    made = ""

    def parted(case: Case, con: duckdb.DuckDBPyConnection, day: date) -> list[Act]:
        nonlocal made
        condition = " AND ".join(f"list_contains(${name}, {name})" for name in sorted(which))
        if not which or not set(which) <= set(MEMBER_FILTERS):
            raise ValueError(f"name members by {', '.join(MEMBER_FILTERS)}")
        rows = con.execute(
            f"SELECT anomaly_id, {condition} FROM members WHERE case_id = $case AND state = 'open' ORDER BY 1",  # noqa: S608 - fixed names
            {name: list(values) for name, values in which.items()} | {"case": case_id},
        ).fetchall()
        chosen = [anomaly_id for anomaly_id, is_meant in rows if is_meant]
        if not chosen or len(chosen) == len(rows):
            named = "no" if not chosen else "every"
            raise IllegalActError(
                f"case {case_id}: {named} open member is named, of {len(rows)}; name some, and leave some"
            )
        made = md5("\x1f".join(["split", case.last_event_id, *chosen]).encode(), usedforsecurity=False).hexdigest()[:12]
        beginning = {
            "from": case_id,
            "reason": reason,
            "cause_id": case.cause_id,
            "cause": case.cause,
            "anomaly_type": case.anomaly_type,
            "scope": case.scope,
            "responsible_kind": case.responsible_kind,
            "responsible": case.responsible,
            # Nobody gains time by splitting a case.
            "due_from_day": case.due_from_day.isoformat(),
        }
        return [
            Act(case_id, "split", {"into": made, "members": len(chosen), "reason": reason}),
            Act(made, "split_off", beginning),
            *(Act(made, "member_moved", {"from": case_id}, anomaly_id) for anomaly_id in chosen),
        ]

    _act_with_members(lake, rules, seen, person, parted)
    return made


def merge(lake: Lake, rules: CaseRules, seen: Mapping[str, str], person: Person, into: str, reason: str) -> None:
    """Move all members of cases to one of them. ``seen`` names all, ``into`` among them."""
    if into not in seen or len(seen) < 2:
        raise ValueError("name at least two cases, the one that takes the members among them")
    others = sorted(set(seen) - {into})

    def merged(case: Case, _day: date) -> list[Act]:
        if case.case_id != into:
            return [Act(case.case_id, "merged", {"into": into, "reason": reason})]
        return [Act(into, "took_over", {"from": others, "reason": reason})]

    # The taker first: what it takes over must find it there.
    _act(lake, rules, {into: seen[into]} | {name: seen[name] for name in others}, person, merged)


def _act(
    lake: Lake,
    rules: CaseRules,
    seen: Mapping[str, str],
    person: Person,
    acts_on: Callable[[Case, date], list[Act]],
) -> None:
    _act_with_members(lake, rules, seen, person, lambda case, _con, day: acts_on(case, day))


def _act_with_members(
    lake: Lake,
    rules: CaseRules,
    seen: Mapping[str, str],
    person: Person,
    acts_on: Callable[[Case, duckdb.DuckDBPyConnection, date], Iterable[Act]],
) -> None:
    """See that all acts are legal and on the state that was seen, log them, and write the day anew."""
    if not person.name.strip():
        raise ValueError("say who acts")
    with cases_held(lake), lake.connect() as con:
        day = last_day(lake)
        cases = cases_of(lake, con, day)
        acts: list[Act] = []
        for case_id, last_event_id in seen.items():
            if case_id not in cases:
                raise UnknownCaseError(f"{day} has no case {case_id}")
            case = cases[case_id]
            if case.last_event_id != last_event_id:
                raise FasterActError(_faster(lake, con, case))
            mine = list(acts_on(case, con, day))
            for act in mine:
                if act.case_id == case_id:
                    require_legal(case, act.kind)
            acts += mine
        versions = _versions_read(con, day, lake)
        last_seq = max((case.last_seq for case in cases.values()), default=0)
        log_acts(lake, con, day, acts, person.at, person.name)
        register_log(lake, con, day)
        done = {"seq": last_seq, "who": person.name, "at": person.at}
        events = case_events_of(con, "seq > $seq AND acted_by = $who AND happened_at = $at::TIMESTAMPTZ", done)
        go_through(con, cases, events)
        if {act.kind for act in acts} & {"split_off", "merged"}:
            write_members(lake, con, day)
        write_cases(lake, con, day, cases, rules, versions)


def last_day(lake: Lake) -> date:
    """The last governed day that has cases. Raises ``UnknownCaseError``."""
    days = lake.days(CASES)
    if not days:
        raise UnknownCaseError(f"{lake.root} holds no cases yet: run `omgov run --day YYYY-MM-DD` first")
    return days[-1]


def _versions_read(con: duckdb.DuckDBPyConnection, day: date, lake: Lake) -> dict[str, int]:
    """The versions that the night of the day's cases read."""
    lake.register(con, "case_rows", CASES, day)
    rows = con.execute("SELECT data_versions FROM case_rows LIMIT 1").fetchall()
    versions: dict[str, int] = json.loads(rows[0][0]) if rows else {}
    return versions


def _faster(lake: Lake, con: duckdb.DuckDBPyConnection, case: Case) -> str:
    register_log(lake, con)
    events: list[Any] = case_events_of(con, "event_id = $event", {"event": case.last_event_id})
    told = f": {events[0].kind.replace('_', ' ')} by {events[0].acted_by}" if events else ""
    return f"case {case.case_id} has changed since it was looked at{told}; look at it again"
