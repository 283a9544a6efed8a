"""The lifecycle of a case: its statuses, what may happen in each, and what it becomes.

Pure: an event and a case give a case. Belongs here: which event is legal when. Does not belong here: when the night
makes one (``night``), storing them (``events``), members (SQL).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal

Status = Literal[
    "open", "acknowledged", "in_progress", "fix_claimed", "reopened", "waived", "reassigned", "closed", "merged"
]
NIGHT = "night"

WORKED_ON: frozenset[Status] = frozenset(
    ("open", "acknowledged", "in_progress", "fix_claimed", "reopened", "reassigned", "waived")
)
_NOT_WAIVED = WORKED_ON - {"waived"}
_ANY: frozenset[Status] = WORKED_ON | {"closed", "merged"}


@dataclass(frozen=True)
class Transition:
    """In which statuses an event may happen, and the status after it; None where it leaves the status alone."""

    legal_in: frozenset[Status]
    to: Status | None


# A case begins with `opened`, or with `split_off` from another one: these have no status before.
BEGINNINGS = ("opened", "split_off")
OF_THE_NIGHT: dict[str, Transition] = {
    "updated": Transition(WORKED_ON, None),
    "closed": Transition(WORKED_ON, "closed"),
    "reopened": Transition(frozenset(("closed",)), "reopened"),
    "claim_refuted": Transition(frozenset(("fix_claimed",)), "reopened"),
    "waiver_ended": Transition(frozenset(("waived",)), "open"),
    "owner_inactive": Transition(WORKED_ON, None),
    "owner_active": Transition(WORKED_ON, None),
    "overdue": Transition(_NOT_WAIVED, None),
    "escalated": Transition(_NOT_WAIVED, None),
}
# The night waives as well: a case all of whose open members have a standing waiver.
OF_PEOPLE: dict[str, Transition] = {
    "acknowledged": Transition(frozenset(("open", "reopened", "reassigned")), "acknowledged"),
    "taken_on": Transition(_NOT_WAIVED - {"fix_claimed"}, "in_progress"),
    "reassigned": Transition(_NOT_WAIVED, "reassigned"),
    "fix_claimed": Transition(_NOT_WAIVED - {"fix_claimed"}, "fix_claimed"),
    "waived": Transition(WORKED_ON, "waived"),
    "split": Transition(WORKED_ON, None),
    "merged": Transition(WORKED_ON, "merged"),
    "took_over": Transition(WORKED_ON, None),
    "commented": Transition(_ANY, None),
    "linked": Transition(_ANY, None),
}
TRANSITIONS = OF_THE_NIGHT | OF_PEOPLE

# The command for each act of people.
COMMANDS = {
    "acknowledged": "ack",
    "taken_on": "assign --to",
    "reassigned": "assign --to-group",
    "fix_claimed": "claim-fix",
    "waived": "waive",
    "split": "split",
    "merged": "merge",
    "took_over": "merge",
    "commented": "comment",
    "linked": "comment --ticket",
}


@dataclass(frozen=True)
class Event:
    """One row of ``exceptions/case_events`` that is about a whole case, its payload read."""

    day: date
    event_id: str
    seq: int
    case_id: str
    kind: str
    at: datetime
    acted_by: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """What events make of a case; the columns of ``exceptions/cases`` that are not counted from members."""

    case_id: str
    status: Status
    cause_id: str | None
    cause: str | None
    anomaly_type: str
    scope: str | None
    responsible_kind: str
    responsible: str
    opened_day: date
    due_from_day: date
    assigned_to: str | None = None
    inactive_owner_id: str | None = None
    is_overdue: bool = False
    is_escalated: bool = False
    closed_day: date | None = None
    recurrences: int = 0
    claimed_day: date | None = None
    waived_until: date | None = None
    waived_by: str | None = None
    waiver_reason: str | None = None
    waiver_id: str | None = None
    merged_into: str | None = None
    split_from: str | None = None
    ticket: str | None = None
    last_event_id: str = ""
    last_seq: int = 0

    @property
    def is_worked_on(self) -> bool:
        """Whether it is neither closed nor merged into another one."""
        return self.status in WORKED_ON


class IllegalActError(ValueError):
    """An act that the status of a case does not allow; the message names those that it does."""


def legal_commands(status: Status) -> list[str]:
    """Commands that people may use on a case in this status."""
    return sorted({COMMANDS[kind] for kind, transition in OF_PEOPLE.items() if status in transition.legal_in})


def require_legal(case: Case, kind: str) -> None:
    """Raise ``IllegalActError`` where the event may not happen to the case as it is."""
    if case.status not in TRANSITIONS[kind].legal_in:
        raise IllegalActError(
            f"case {case.case_id} is {case.status.replace('_', ' ')}: {COMMANDS.get(kind, kind)} is not possible; "
            f"possible are {', '.join(legal_commands(case.status))}"
        )


def begun_by(event: Event) -> Case:
    """The case that an event of ``BEGINNINGS`` begins."""
    said = event.payload
    return Case(
        case_id=event.case_id,
        status="open",
        cause_id=said["cause_id"],
        cause=said["cause"],
        anomaly_type=said["anomaly_type"],
        scope=said["scope"],
        responsible_kind=said["responsible_kind"],
        responsible=said["responsible"],
        opened_day=event.day,
        due_from_day=date.fromisoformat(said.get("due_from_day") or event.day.isoformat()),
        split_from=said.get("from"),
        last_event_id=event.event_id,
        last_seq=event.seq,
    )


def after(case: Case, event: Event) -> Case:
    """The case after an event. Raises ``IllegalActError``."""
    require_legal(case, event.kind)
    said: Mapping[str, Any] = event.payload
    status = TRANSITIONS[event.kind].to or case.status
    case = replace(case, status=status, last_event_id=event.event_id, last_seq=event.seq)
    match event.kind:
        case "closed":
            return replace(case, closed_day=event.day, is_overdue=False)
        case "reopened":
            begun_anew = replace(_without_waiver(case), due_from_day=event.day, is_overdue=False, is_escalated=False)
            return replace(_without_claim(begun_anew), closed_day=None, recurrences=case.recurrences + 1)
        case "claim_refuted":
            return replace(_without_claim(case), recurrences=case.recurrences + 1)
        case "waiver_ended":
            return replace(_without_waiver(case), due_from_day=event.day, is_overdue=False, is_escalated=False)
        case "owner_inactive" | "owner_active":
            return replace(case, inactive_owner_id=said.get("owner"))
        case "overdue" | "escalated":
            return replace(case, is_overdue=True, is_escalated=case.is_escalated or event.kind == "escalated")
        case "reassigned":
            return replace(_without_claim(case), responsible_kind="assigned", responsible=said["to"], assigned_to=None)
        case "fix_claimed":
            return replace(case, claimed_day=event.day)
        case "waived":
            until = date.fromisoformat(said["until"])
            return replace(
                _without_claim(case),
                waived_until=until,
                waived_by=said.get("by") or event.acted_by,
                waiver_reason=said["reason"],
                waiver_id=said.get("waiver_id"),
                is_overdue=False,
            )
        case "merged":
            return replace(case, merged_into=said["into"], is_overdue=False)
        case "taken_on" | "linked":
            return replace(case, **{"assigned_to" if event.kind == "taken_on" else "ticket": said["to"]})
    return case


def _without_claim(case: Case) -> Case:
    return replace(case, claimed_day=None)


def _without_waiver(case: Case) -> Case:
    return replace(case, waived_until=None, waived_by=None, waiver_reason=None, waiver_id=None)
