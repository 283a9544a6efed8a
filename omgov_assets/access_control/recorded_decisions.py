"""Deciding, with the decision on record before anything is made of it.

Owns one order: decide, make what is permitted, put it on record durably, hand it out; denials and what went wrong are
on record as well. Does not belong here: what is made (``enforcement``), the record itself (``audit_log``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from omgov_assets.access_control import audit_chain
from omgov_assets.access_control.audit_log import AuditLog, ClockSetBackError
from omgov_assets.access_control.decision import Action, Decision, DecisionPoint
from omgov_assets.access_control.decision_record import denied, on_record
from omgov_assets.access_control.principals import Principal

T = TypeVar("T")


@dataclass(frozen=True)
class Given(Generic[T]):
    """What is handed out, and what is on record of it beside the decision."""

    handed: T
    version: int | None
    rows: int | None
    columns: tuple[str, ...]


@dataclass(frozen=True)
class RecordedDecisions:
    """The decision function, and the record of what it decided; may be shared by threads.

    Attributes:
        decisions: the decision function.
        audit: the log of decisions.
        clock: the time (aware).
    """

    decisions: DecisionPoint
    audit: AuditLog
    clock: Callable[[], datetime]

    def record(self, entry: audit_chain.Decision, decision: Decision, deed: str = "read") -> None:
        """Put an entry on record durably; a permission at a time before what is on record becomes a denial.

        Raises:
            AccessDeniedError: the clock was set back.
            AuditUnavailableError: it cannot be put on record.
        """
        try:
            self.audit.record(entry)
        except ClockSetBackError as error:
            raise denied(decision, deed) from error

    def answer(self, principal: Principal, dataset: str, action: Action, give: Callable[[Decision], Given[T]]) -> T:
        """What ``give`` makes of the decision, once that is on record; errors of ``give`` as well as of ``record``."""
        at = self.clock()
        decision = self.decided(principal, dataset, at, action)
        try:
            given = give(decision)
        except Exception as error:
            # Nothing leaves but the error; that it was asked for is on record all the same.
            reason = f"{', '.join(decision.deciding)}; nothing left: {type(error).__name__}"
            self.audit.record(on_record(decision, at, reason=reason))
            raise
        self.record(on_record(decision, at, given.version, given.rows, given.columns), decision)
        return given.handed

    def decided(self, principal: Principal, dataset: str, at: datetime, action: Action) -> Decision:
        """The decision, where it is a permission. Raises ``AccessDeniedError``; the denial is on record."""
        decision = self.decisions.decide(principal, dataset, at, action)
        if not decision.allowed:
            self.audit.record(on_record(decision, at))
            raise denied(decision)
        return decision
