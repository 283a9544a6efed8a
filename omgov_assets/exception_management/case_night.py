"""What a night says of one case, each event on what the one before has made of it.

Pure: a case, what its members come to and what changed among them give events. Does not belong here: which members
change (``night``), what an event makes of a case (``lifecycle``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from omgov_assets.exception_management.deadlines import due_day, escalation_day
from omgov_assets.exception_management.lifecycle import NIGHT, Case, Event, after, begun_by
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.exception_management.waivers import Waiver


@dataclass(frozen=True)
class CaseNight:
    """What a night found of a case.

    Attributes:
        case_id: the case.
        day: business day.
        rules: what cases go by.
        counted: what its members come to, a row of ``case_counts.sql``.
        changes: members added, resolved, withdrawn and reopened in the night.
        waiver: standing waiver under which all its open members are; the one that ends first.
        is_seen: whether any open member was an anomaly of the day.
        inactive_owner_id: owner of most of those, where he is no longer active.
    """

    case_id: str
    day: date
    rules: CaseRules
    counted: Mapping[str, Any]
    changes: Mapping[str, int]
    waiver: Waiver | None
    is_seen: bool
    inactive_owner_id: str | None

    def events(self, case: Case | None, beginning: Mapping[str, Any] | None) -> Iterator[Event]:
        """Events of the night.

        Args:
            case: the case as it was; None where the night opens it.
            beginning: with what it is opened then.
        """
        if case is None:
            yield (opened := self._said("opened", **(beginning or {})))
            case = begun_by(opened)
        elif self.changes:
            if case.status == "closed":
                yield (reopened := self._said("reopened"))
                case = after(case, reopened)
            yield self._said("updated", **self.changes)
        if not case.is_worked_on:
            return
        if self.counted["open_members"] == 0:
            yield self._said("closed")
            return
        for event in (self._of_waiver(case), *self._of_owner(case)):
            if event is not None:
                yield event
                case = after(case, event)
        # A standing waiver may take the place of one that has ended.
        if (waived := self._of_standing_waiver(case)) is not None:
            yield waived
            case = after(case, waived)
        if self._is_refuted(case):
            yield (refuted := self._said("claim_refuted"))
            case = after(case, refuted)
        if case.status != "waived":
            yield from self._of_deadlines(case)

    def _of_waiver(self, case: Case) -> Event | None:
        """The end of a waiver: its last day is over, or not all open members are under the standing one any more."""
        if case.status != "waived":
            return None
        if case.waiver_id is not None:
            return self._said("waiver_ended") if self.waiver is None else None
        is_over = case.waived_until is not None and self.day > case.waived_until
        return self._said("waiver_ended") if is_over else None

    def _of_standing_waiver(self, case: Case) -> Event | None:
        waiver = self.waiver
        # A claimed fix is verified first.
        if waiver is None or case.status == "fix_claimed":
            return None
        until = waiver.until
        if case.status == "waived" and (case.waiver_id is None or case.waived_until == until):
            return None
        return self._said(
            "waived", until=until.isoformat(), reason=waiver.reason, by=waiver.granted_by, waiver_id=waiver.waiver_id
        )

    def _of_owner(self, case: Case) -> Iterator[Event]:
        """Escalation past an owner who has left: who is responsible stands in."""
        if self.is_seen and self.inactive_owner_id != case.inactive_owner_id:
            if self.inactive_owner_id is not None:
                yield self._said("owner_inactive", owner=self.inactive_owner_id, to=case.responsible)
            else:
                yield self._said("owner_active")

    def _is_refuted(self, case: Case) -> bool:
        """Whether a fix was claimed, and members are anomalous on a day that it should have been in force."""
        grace = self.rules.exceptions.claim_grace_days
        if case.claimed_day is None or (self.day - case.claimed_day).days <= grace:
            return False
        return bool(self.counted["open_members"] > self.counted["unverified_members"])

    def _of_deadlines(self, case: Case) -> Iterator[Event]:
        due = due_day(case.due_from_day, self.counted["severity"], self.counted["tier"], self.rules)
        if self.day > due and not case.is_overdue:
            yield self._said("overdue", due=due.isoformat())
        if self.day > escalation_day(due, self.rules) and not case.is_escalated:
            yield self._said("escalated", to=self.rules.exceptions.governance_office)

    def _said(self, kind: str, **payload: Any) -> Event:
        return Event(self.day, "", 0, self.case_id, kind, datetime.min, NIGHT, payload)
