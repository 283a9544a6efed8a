"""Who may act on cases and write datasets by the rules that ship: fail-closed, and on record before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from omgov_assets.access_control.audit_log import AuditLog, AuditUnavailableError
from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.enforcement import EnforcementPoint
from omgov_assets.access_control.governed_query import AccessDeniedError, Query
from omgov_assets.access_control.principals import Principal, known_principal
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import Governance, load_governance

NOW = datetime(2026, 11, 21, tzinfo=UTC)
DAY = date(2026, 11, 20)
CASES, INSTANCES, LEDGER = "exceptions/cases", "securities_trading/metric_instances", "admission/ledger"
MEMBER = Principal(
    "member", frozenset({"support_group_member"}), 2, "operations", support_groups=frozenset({"SG-01", "SG-02"})
)
_PLAIN: dict[pa.DataType, Any] = {
    pa.string(): "x",
    pa.int64(): 1,
    pa.bool_(): False,
    pa.date32(): DAY,
    pa.timestamp("us", tz="UTC"): NOW,
}


@pytest.fixture(scope="module")
def governance(project_root: Path) -> Governance:
    return load_governance(project_root)


class Firm:
    def __init__(self, governance: Governance, folder: Path) -> None:
        self.lake = Lake(folder / "lake", governance.project / "governance" / "standard" / "data_contracts")
        self.log = AuditLog(folder / "audit")
        self.point = DecisionPoint.of(governance)
        self.now = NOW
        self.door = EnforcementPoint(self.lake, self.point, self.log, folder / "governed", clock=lambda: self.now)
        self.rules, self.zone = governance.access, governance.firm.zone

    def known(self, name: str) -> Principal:
        return known_principal(self.rules, name, self.zone)

    def may(self, who: Principal, dataset: str, action: Any) -> bool:
        try:
            self.door.permit(who, dataset, action)
        except AccessDeniedError:
            return False
        return True

    def hold_cases(self, day: date, responsible_by_case: dict[str, str]) -> None:
        schema = self.lake.schema(CASES).arrow
        plain = {field.name: None if field.nullable else _PLAIN[field.type] for field in schema}
        rows = [
            plain | {"day": day, "case_id": case_id, "responsible": group}
            for case_id, group in responsible_by_case.items()
        ]
        self.lake.replace(CASES, day, pa.Table.from_pylist(rows, schema=schema))

    @property
    def record(self) -> list[dict[str, Any]]:
        return [entry.fields for entry in self.log.entries()]


@pytest.fixture
def firm(governance: Governance, tmp_path: Path) -> Iterator[Firm]:
    firm = Firm(governance, tmp_path)
    yield firm
    firm.log.close()


def test_those_who_may_act_and_write(firm: Firm) -> None:
    everybody = {name: firm.known(name) for name in firm.rules.principal_of} | {"member": MEMBER}
    datasets = (CASES, "exceptions/case_members", INSTANCES, f"{INSTANCES}_quarantine", LEDGER)
    may = {
        (name, action, dataset)
        for name, who in everybody.items()
        for action in ("act", "write")
        for dataset in (*datasets, "wealth_management/metric_instances", "cmdb/owners", "audit/access")
        if firm.may(who, dataset, action)
    }
    assert may == {
        ("engineer", "act", CASES),
        ("engineer", "act", LEDGER),
        ("steward", "act", CASES),
        ("member", "act", CASES),
        ("wealth_terminal_team", "act", CASES),
        ("trading_agent", "write", INSTANCES),
    }


def test_a_source_reads_what_became_of_its_deliveries_and_nothing_else(firm: Firm) -> None:
    agent = firm.known("trading_agent")
    assert firm.door.datasets(agent) == [LEDGER, "cmdb/support_groups"]
    assert firm.door.describe(agent, LEDGER).rows_in_words == "system is one of securities_trading"


def test_what_was_permitted_is_on_record_with_what_it_was_for(firm: Firm) -> None:
    agent = firm.known("trading_agent")
    firm.door.permit(agent, INSTANCES, "write", "batch of 2026-11-20")
    with pytest.raises(AccessDeniedError) as raised:
        firm.door.permit(agent, CASES, "act", "acknowledge")
    assert str(raised.value).startswith(f"trading_agent may not act on {CASES} for purpose operations, or there is no")
    granted, refused = firm.record
    assert granted["reason"] == "write: sources-write-their-systems; batch of 2026-11-20"
    assert (granted["decision"], granted["rows"], granted["row_count"], granted["columns"]) == (
        "allow",
        "none",
        None,
        [],
    )
    assert (refused["decision"], refused["reason"]) == ("deny", "act: no policy permits it; acknowledge")


def test_no_and_unknown_sound_the_same(firm: Firm) -> None:
    agent = firm.known("trading_agent")
    told = []
    for dataset in ("cmdb/owners", "cmdb/nothing"):
        with pytest.raises(AccessDeniedError) as raised:
            firm.door.permit(agent, dataset, "write")
        told.append(str(raised.value).replace(dataset, "X"))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"roles": frozenset({"data_source", "ghost"})}, "unknown roles: ghost"),
        ({"roles": frozenset()}, "the principal has no role"),
        ({"purpose": "fun"}, "unknown purpose: fun"),
        ({"purpose": "quality"}, "no policy permits it"),
        ({"clearance": 9}, "clearance 9 is none of 1 to 4"),
        ({"systems": frozenset()}, "no policy permits it"),
        ({"systems": ["securities_trading", 7]}, "the decision failed: TypeError"),
        ({"expires_at": NOW}, "the grant ended at"),
        ({"authenticated_at": NOW + timedelta(hours=1)}, "the clock was set back"),
        ({"scope": ("read", "act", "share")}, "the token's scope does not cover write"),
        ({"scope": ("write:securities_trading/metric_samples",)}, "the token's scope does not cover write"),
        ({"scope": ()}, "the token's scope does not cover write"),
    ],
)
def test_whatever_speaks_against_it_is_a_denial(firm: Firm, changed: dict[str, Any], reason: str) -> None:
    agent = replace(firm.known("trading_agent"), **changed)
    decision = firm.point.decide_action(agent, INSTANCES, "write", NOW)
    assert not decision.allowed
    assert decision.reason.startswith(reason)
    with pytest.raises(AccessDeniedError):
        firm.door.permit(agent, INSTANCES, "write")
    assert firm.record[-1]["decision"] == "deny"


def test_a_deed_that_there_is_not_is_denied(firm: Firm) -> None:
    for action in ("read", "see", "", "delete"):
        assert not firm.may(firm.known("engineer"), CASES, action)
    assert not DecisionPoint.nobody("gone").decide_action(firm.known("engineer"), CASES, "act", NOW).allowed


def test_scopes_hold_for_deeds(firm: Firm) -> None:
    agent = firm.known("trading_agent")
    for scope in (("write",), ("write:securities_trading/*",), (f"write:{INSTANCES}", "read")):
        assert firm.may(replace(agent, scope=scope), INSTANCES, "write")


def test_nothing_is_permitted_when_it_cannot_be_put_on_record(firm: Firm) -> None:
    firm.log.con.execute("PRAGMA query_only = ON")
    with pytest.raises(AuditUnavailableError):
        firm.door.permit(firm.known("trading_agent"), INSTANCES, "write")
    firm.log.con.execute("PRAGMA query_only = OFF")
    assert firm.may(firm.known("trading_agent"), INSTANCES, "write")
    firm.now -= timedelta(minutes=5)
    assert not firm.may(firm.known("trading_agent"), INSTANCES, "write")
    assert [entry["decision"] for entry in firm.record] == ["allow", "deny"]


def test_a_group_acts_on_the_cases_that_answer_to_it_and_sees_no_other(firm: Firm) -> None:
    firm.hold_cases(DAY, {"c1": "SG-01", "c2": "SG-02", "c3": "SG-03"})
    firm.hold_cases(DAY - timedelta(days=1), {"c3": "SG-01", "c4": "SG-01"})
    rows = firm.door.rows(MEMBER, CASES, Query(("case_id",)), DAY).to_pylist()
    assert [row["case_id"] for row in rows] == ["c1", "c2"]
    firm.door.permit_cases(MEMBER, ["c1", "c2"], "acknowledge")
    told = set()
    for case_ids in (["c3"], ["c1", "c3"], ["gone"], ["c4"], ["c1", "gone"], []):
        with pytest.raises(AccessDeniedError) as raised:
            firm.door.permit_cases(MEMBER, case_ids, "acknowledge")
        told.add(str(raised.value))
        assert firm.record[-1]["decision"] == "deny"
        assert firm.record[-1]["reason"].endswith("; acknowledge")
    assert len(told) == 1, "a case that there is not and one of somebody else sound the same"
    for name in ("engineer", "steward"):
        firm.door.permit_cases(firm.known(name), ["c1", "c3"])
    for name in ("auditor", "trading_department", "trading_agent"):
        with pytest.raises(AccessDeniedError):
            firm.door.permit_cases(firm.known(name), ["c1"])


def test_nobody_acts_on_cases_by_a_token_that_may_not_read_them(firm: Firm) -> None:
    firm.hold_cases(DAY, {"c1": "SG-01"})
    with pytest.raises(AccessDeniedError):
        firm.door.permit_cases(replace(MEMBER, scope=("act",)), ["c1"])
    with pytest.raises(AccessDeniedError):
        firm.door.permit_cases(replace(MEMBER, scope=("read",)), ["c1"])
    firm.door.permit_cases(replace(MEMBER, scope=(f"act:{CASES}", f"read:{CASES}")), ["c1"])


def test_before_there_are_cases_nobody_acts_on_any(firm: Firm) -> None:
    with pytest.raises(AccessDeniedError):
        firm.door.permit_cases(firm.known("engineer"), ["c1"])
