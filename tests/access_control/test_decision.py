"""The decision function fails closed: whatever is wrong, nothing is seen, and a reason says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from omgov_assets.access_control.decision import CLEARANCE, ColumnDecision, Decision, DecisionPoint
from omgov_assets.access_control.grades import column_grades
from omgov_assets.access_control.mask_key import MaskKey, mask_key
from omgov_assets.access_control.principals import Principal, UnknownPrincipalError, known_principal
from omgov_assets.data_lake.schemas import Column, TableSchema
from omgov_assets.model_management.access_policies import AccessPolicies
from omgov_assets.model_management.access_rules import AccessRules
from omgov_assets.model_management.governance import Governance, load_governance

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
KEY = MaskKey(b"k" * 32, NOW + timedelta(days=1))
SCHEMA = (Path(__file__).resolve().parents[2] / "governance" / "access" / "schema.cedarschema").read_text("utf-8")
STEWARD = Principal("p", frozenset({"steward"}), 2, "quality")
PERMIT_ALL = '@id("all") permit (principal, action, resource);'


def column(name: str, grade: int, mask: str | None = None, made_of: tuple[str, ...] = ()) -> Column:
    return Column(name, "VARCHAR", False, False, False, grade, "", mask, made_of)


PEOPLE = TableSchema(
    "people", (column("name", 1), column("phone", 3, "hmac"), column("mail", 3), column("notes", 4, "drop"))
)


def point(policies: str = PERMIT_ALL, key: MaskKey | None = KEY, schema: str = SCHEMA, **rules: Any) -> DecisionPoint:
    document = {"purposes": ["quality"], "roles": {"steward": {"brief": "b", "clearance": 3}}, **rules}
    access = AccessRules.model_validate(document)
    return DecisionPoint(
        access.model_copy(update={"policies": AccessPolicies(policies, schema)}), {"cmdb/people": PEOPLE}, {}, key
    )


def decided(decision: Decision, name: str) -> ColumnDecision:
    return next(one for one in decision.columns if one.name == name)


def test_columns_above_the_clearance_are_masked_or_left_out() -> None:
    decision = point().decide(STEWARD, "cmdb/people", NOW)
    assert decision.allowed
    assert [(one.name, one.shown, one.mask) for one in decision.columns] == [
        ("name", "visible", None),
        ("phone", "masked", "hmac"),
        ("mail", "dropped", None),
        ("notes", "dropped", None),
    ]
    assert decided(decision, "name").policies == ("all",)
    assert decided(decision, "phone").policies == ("all", CLEARANCE)
    assert "no mask is declared" in decided(decision, "mail").reason
    assert decision.policies == ("all",)
    assert (decision.rows, decision.mask_key) == (None, KEY.fingerprint)


def test_no_policy_opens_what_is_above_the_clearance() -> None:
    policies = PERMIT_ALL + '@id("more") permit (principal, action == Action::"see", resource);'
    decision = point(policies).decide(STEWARD, "cmdb/people", NOW)
    assert {one.name for one in decision.columns if one.shown == "visible"} == {"name"}


def test_a_forbid_wins_over_every_permit() -> None:
    forbid = '@id("no-name") forbid (principal, action == Action::"see", resource == Column::"cmdb/people.name");'
    decision = point(PERMIT_ALL + forbid, masks={"cmdb/people.name": "partial"}).decide(STEWARD, "cmdb/people", NOW)
    name = decided(decision, "name")
    assert (name.shown, name.mask, name.reason) == ("masked", "partial", "forbidden by no-name")
    assert "no-name" in name.policies
    no_one = '@id("nobody") forbid (principal, action == Action::"read", resource);'
    denied = point(PERMIT_ALL + no_one).decide(STEWARD, "cmdb/people", NOW)
    assert (denied.allowed, denied.reason, denied.columns) == (False, "forbidden by nobody", ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"roles": frozenset({"steward", "boss"})}, "unknown roles: boss"),
        ({"roles": frozenset()}, "the principal has no role"),
        ({"purpose": "fun"}, "unknown purpose: fun"),
        ({"purpose": ""}, "unknown purpose: "),
        ({"clearance": 0}, "clearance 0 is none of 1 to 4"),
        ({"clearance": 5}, "clearance 5 is none of 1 to 4"),
        ({"clearance": True}, "clearance True is none of 1 to 4"),
        ({"clearance": 2.0}, "clearance 2.0 is none of 1 to 4"),
        ({"clearance": "3"}, "clearance '3' is none of 1 to 4"),
        ({"clearance": 4}, "clearance 4 contradicts the roles"),
        ({"expires_at": NOW}, "the grant ended at"),
        ({"authenticated_at": NOW + timedelta(seconds=1)}, "the clock was set back"),
        # A time without a zone cannot be compared.
        ({"expires_at": datetime(2030, 1, 1)}, "the decision failed: TypeError"),
        ({"systems": frozenset({1})}, "the policies cannot be asked"),
    ],
)
def test_something_wrong_with_the_principal_is_a_denial(change: dict[str, Any], reason: str) -> None:
    assert point().decide(STEWARD, "cmdb/people", NOW).allowed
    decision = point().decide(replace(STEWARD, **change), "cmdb/people", NOW)
    assert not decision.allowed
    assert decision.reason.startswith(reason)
    assert decision.columns == ()


@pytest.mark.parametrize(
    ("scope", "action", "allowed"),
    [
        (None, "export", True),
        (("read:cmdb/*",), "read", True),
        (("read",), "read", True),
        (("read:cmdb/people",), "export", False),
        (("read:quality/*",), "read", False),
        ((), "read", False),
    ],
)
def test_a_scope_only_narrows(scope: tuple[str, ...] | None, action: Any, allowed: bool) -> None:
    decision = point().decide(replace(STEWARD, scope=scope), "cmdb/people", NOW, action)
    assert decision.allowed == allowed
    assert decision.reason == ("" if allowed else f"the token's scope does not cover {action} of cmdb/people")
    nobody = replace(STEWARD, scope=("read",), roles=frozenset())
    assert not point().decide(nobody, "cmdb/people", NOW).allowed


def test_where_rules_cannot_be_read_everybody_is_denied_with_that_reason() -> None:
    closed = DecisionPoint.nobody("the access rules cannot be read: a.cedar, line 3")
    decision = closed.decide(STEWARD, "cmdb/people", NOW)
    assert (decision.allowed, decision.reason) == (False, "the access rules cannot be read: a.cedar, line 3")
    assert closed.principal("steward").roles == frozenset()


@pytest.mark.parametrize("dataset", ["cmdb/robots", "people", "cmdb/people.name", "", "cmdb/people\n", "../people"])
def test_an_unknown_dataset_is_a_denial(dataset: str) -> None:
    decision = point().decide(STEWARD, dataset, NOW)
    assert (decision.allowed, decision.reason) == (False, f"there is no dataset {dataset}")


def test_a_forbid_that_errs_denies_everything() -> None:
    """Cedar alone would skip it and permit; such a policy does not pass the schema, and is held off here as well."""
    errs = '@id("errs") forbid (principal, action == Action::"read", resource) when { resource.owner == "x" };'
    decision = point(PERMIT_ALL + errs).decide(STEWARD, "cmdb/people", NOW)
    assert not decision.allowed
    assert decision.reason.startswith("a policy could not be evaluated")
    of_columns = '@id("errs") forbid (principal, action == Action::"see", resource) when { resource.owner == "x" };'
    decision = point(PERMIT_ALL + of_columns).decide(STEWARD, "cmdb/people", NOW)
    assert (decision.allowed, decision.columns) == (False, ())


def test_a_schema_that_does_not_know_the_question_denies_everything() -> None:
    other = SCHEMA.replace("action see, see_masked", "action look, see_masked")
    decision = point(schema=other).decide(STEWARD, "cmdb/people", NOW)
    assert not decision.allowed
    assert decision.reason.startswith("a policy could not be evaluated: failed to build request")


def test_without_policies_nobody_sees_anything() -> None:
    decision = point("", schema="").decide(STEWARD, "cmdb/people", NOW)
    assert (decision.allowed, decision.reason) == (False, "no policy permits it")


def test_rows_that_no_filter_tells_apart_are_denied_with_the_dataset() -> None:
    some_rows = '@id("some") permit (principal, action in [Action::"read", Action::"see"], resource);'
    decision = point(some_rows).decide(STEWARD, "cmdb/people", NOW)
    assert (decision.allowed, decision.reason) == (False, "no row filter says which rows are the principal's")


def test_a_dataset_of_which_no_column_is_left_is_denied() -> None:
    read = '@id("read") permit (principal, action in [Action::"read", Action::"read_all_rows"], resource);'
    decision = point(read).decide(STEWARD, "cmdb/people", NOW)
    assert (decision.allowed, decision.reason) == (False, "no column is left")
    assert decision.shown == ()


@pytest.mark.parametrize(
    "key",
    [None, MaskKey(b"k" * 32, NOW)],
)
def test_a_column_whose_mask_has_no_key_is_left_out(key: MaskKey | None) -> None:
    decision = point(key=key).decide(STEWARD, "cmdb/people", NOW)
    phone = decided(decision, "phone")
    assert (phone.shown, phone.mask, decision.mask_key) == ("dropped", None, None)
    assert "there is no key to mask it with, or it has expired" in phone.reason


def test_time_goes_by_between_two_decisions() -> None:
    """Answers of policies are kept, what depends on the time is not."""
    decide = point().decide
    grant = replace(STEWARD, expires_at=NOW + timedelta(days=2))
    assert decided(decide(grant, "cmdb/people", NOW), "phone").shown == "masked"
    later = decide(grant, "cmdb/people", KEY.expires_at)
    assert (later.allowed, decided(later, "phone").shown, later.mask_key) == (True, "dropped", None)
    assert not decide(grant, "cmdb/people", NOW + timedelta(days=2)).allowed
    assert decided(decide(grant, "cmdb/people", NOW), "phone").shown == "masked"


def test_a_mask_that_does_not_fit_leaves_the_column_out() -> None:
    decision = point(masks={"cmdb/people.mail": "to_year"}).decide(STEWARD, "cmdb/people", NOW)
    assert "to_year does not fit VARCHAR" in decided(decision, "mail").reason
    assert decided(decision, "mail").shown == "dropped"


def test_a_derived_column_has_the_highest_grade_of_its_inputs() -> None:
    tables = {
        "a/x": TableSchema(
            "x",
            (
                column("open", 1),
                column("secret", 3),
                column("from_both", 1, made_of=("a/x.open", "a/x.secret")),
                column("from_derived", 2, made_of=("a/x.from_both",)),
                column("from_gone", 1, made_of=("a/x.gone",)),
                column("from_gone_table", 1, made_of=("b/y.open",)),
                column("from_nonsense", 1, made_of=("SELECT 1",)),
                column("from_itself", 1, made_of=("a/x.from_itself",)),
                column("graded_higher", 4, made_of=("a/x.open",)),
                column("graded_wrongly", 0),
            ),
        )
    }
    assert list(column_grades("a/x", tables).values()) == [1, 3, 3, 3, 4, 4, 4, 4, 4, 4]


def test_principals_of_one_class_are_given_the_same() -> None:
    decide = point().decide
    mine = decide(STEWARD, "cmdb/people", NOW)
    assert decide(replace(STEWARD, name="q"), "cmdb/people", NOW).principal_class == mine.principal_class
    assert decide(replace(STEWARD, clearance=3), "cmdb/people", NOW).principal_class != mine.principal_class
    other_key = MaskKey(b"l" * 32, NOW + timedelta(days=1))
    assert point(key=other_key).decide(STEWARD, "cmdb/people", NOW).principal_class != mine.principal_class


@pytest.fixture(scope="module")
def governance(project_root: Path) -> Governance:
    return load_governance(project_root)


def test_personal_data_of_the_shipped_rules(governance: Governance) -> None:
    """Owners' phone and e-mail: as they are for audits alone, masked for those who work with data, else not at all."""
    decide, zone = DecisionPoint.of(governance, KEY).decide, governance.firm.zone
    shown = {}
    for name in governance.access.principal_of:
        decision = decide(known_principal(governance.access, name, zone), "cmdb/owners", NOW)
        shown[name] = {one.name: one.mask for one in decision.shown if one.name in ("email", "phone")}
    assert shown == {
        "auditor": {"email": None, "phone": None},
        "engineer": {"email": "partial", "phone": "hmac"},
        "steward": {"email": "partial", "phone": "hmac"},
        "trading_department": {},
        "trading_agent": {},
        "wealth_terminal_team": {},
    }


def test_every_table_of_the_lake_can_be_decided_about(governance: Governance) -> None:
    decide, zone = DecisionPoint.of(governance, KEY).decide, governance.firm.zone
    auditor = known_principal(governance.access, "auditor", zone)
    consumer = known_principal(governance.access, "trading_department", zone)
    tables = ["quality/anomalies", "exceptions/cases", "control/documents", "cmdb/owners_quarantine"]
    assert all(decide(auditor, table, NOW).allowed for table in tables)
    assert [decide(consumer, table, NOW).allowed for table in tables] == [True, False, False, False]


def test_a_grant_ends_with_its_last_day_in_the_firms_zone(governance: Governance) -> None:
    steward = known_principal(governance.access, "steward", governance.firm.zone)
    last_day = governance.access.principal_of["steward"].valid_until
    assert last_day == date(2027, 12, 31)
    assert steward.expires_at == datetime(2027, 12, 31, 16, tzinfo=UTC)  # midnight in Shanghai
    with pytest.raises(UnknownPrincipalError, match="ghost: no such principal"):
        known_principal(governance.access, "ghost", governance.firm.zone)


def test_a_purpose_that_was_not_granted_is_a_denial(governance: Governance) -> None:
    steward = known_principal(governance.access, "steward", governance.firm.zone, "audit")
    decision = DecisionPoint.of(governance, KEY).decide(steward, "cmdb/owners", NOW)
    assert (decision.allowed, decision.reason) == (False, "unknown purpose: audit (not granted)")


@pytest.mark.parametrize("text", ["", "k" * 64, "ab" * 31, "a" * 65, "ab" * 65, " " + "ab" * 32])
def test_what_is_no_key_is_taken_for_none(governance: Governance, text: str) -> None:
    zone = governance.firm.zone
    assert mask_key(governance.access, {"OMGOV_MASK_KEY": text}, zone) is None
    assert mask_key(governance.access, {}, zone) is None
    good = mask_key(governance.access, {"OMGOV_MASK_KEY": "ab" * 32}, zone)
    assert good is not None
    assert good.secret == b"\xab" * 32
    assert "ab" * 8 not in repr(good)
    assert "xab" not in repr(good)
