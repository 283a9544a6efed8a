"""What is done to data, other than asking for it: acting on cases and writing datasets, permitted or not, on record.

Owns one rule: nobody acts on a row that it may not read. Does not belong here: the deeds themselves
(``exception_management``, ``admission``), deciding (``decision``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date

from omgov_assets.access_control.decision import Decision, Deed
from omgov_assets.access_control.decision_record import denied, on_record
from omgov_assets.access_control.governed_query import Condition, Query, governed_select, question
from omgov_assets.access_control.principals import Principal
from omgov_assets.access_control.recorded_decisions import Given, RecordedDecisions
from omgov_assets.data_lake.lake import Lake

CASES = "exceptions/cases"
_TOLD = {"act": "act on", "write": "write"}


def permit(recorded: RecordedDecisions, principal: Principal, dataset: str, action: Deed, asked_for: str) -> None:
    """See ``EnforcementPoint.permit``."""
    at = recorded.clock()
    decision = recorded.decisions.decide_action(principal, dataset, action, at)
    why = ", ".join(decision.deciding) if decision.allowed else decision.reason
    said = "; ".join(part for part in (f"{action}: {why}", asked_for) if part)
    entry = on_record(decision, at, rows=None, reason=said)
    # Nothing is read by it.
    recorded.record(replace(entry, rows="none"), decision, _TOLD.get(action, action))
    if not decision.allowed:
        raise denied(decision, _TOLD.get(action, action))


def permit_cases(
    recorded: RecordedDecisions, lake: Lake, principal: Principal, case_ids: Collection[str], asked_for: str
) -> None:
    """See ``EnforcementPoint.permit_cases``."""
    permit(recorded, principal, CASES, "act", asked_for)
    wanted = tuple(sorted(set(case_ids)))
    day = max(lake.days(CASES), default=date.max)

    def give(decision: Decision) -> Given[set[str]]:
        key = recorded.decisions.key
        select = governed_select(lake, decision, day, key)
        statement, parameters = question(
            decision, Query(("case_id",), (Condition("case_id", "in", wanted),)), select.sql
        )
        with lake.connect() as con:
            rows = con.execute(statement, select.parameters | parameters).fetchall()
        seen = {str(case_id) for (case_id,) in rows}
        return Given(seen, select.versions[CASES], len(seen), ("case_id",))

    seen = recorded.answer(principal, CASES, "read", give)
    if not wanted or seen != set(wanted):
        at = recorded.clock()
        decision = recorded.decisions.decide_action(principal, CASES, "act", at)
        said = f"act: {len(wanted) - len(seen)} of {len(wanted)} cases are out of the principal's sight"
        reason = "; ".join(part for part in (said, asked_for) if part)
        recorded.audit.record(on_record(decision, at).denied(reason))
        raise denied(decision, _TOLD["act"])
