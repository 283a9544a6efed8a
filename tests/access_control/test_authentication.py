"""Who asks: told to the decision in full, to the record why not, and to whoever asks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from audit_cases import NOON, Home
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_provider import changed, claims_at, jwk, key_server, key_set, provider, rsa_key, signed, trusting

from omgov_assets.access_control.authentication import TOLD, AuthenticationError, Authenticator
from omgov_assets.access_control.decision import DecisionPoint
from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.model_management.access_rules import AccessRules
from omgov_assets.model_management.governance import Governance, load_governance

ZONE = ZoneInfo("Asia/Shanghai")
DAY = timedelta(days=1)
SCOPE = ["read:quality/*"]


@pytest.fixture(scope="module")
def governance(project_root: Path) -> Governance:
    return load_governance(project_root)


@pytest.fixture(scope="module")
def rules(governance: Governance) -> AccessRules:
    return trusting(governance.access)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TokenStore]:
    with TokenStore(tmp_path / "access" / "tokens.db", ticks=lambda: 0.0) as store:
        yield store


@pytest.fixture
def door(rules: AccessRules, store: TokenStore) -> Authenticator:
    return Authenticator(rules, store, ZONE)


def refusal(door: Authenticator, credential: str, now: datetime = NOON) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as refused:
        door.authenticate(credential, None, now)
    # Some letters stand in every message.
    assert len(credential) < 40 or credential not in str(refused.value)
    return refused.value


def test_a_token_brings_the_grant_of_its_principal_and_its_own_bounds(door: Authenticator, store: TokenStore) -> None:
    text, token = store.create("steward", SCOPE, NOON, 30 * DAY)
    who = door.identify(text, None, NOON + DAY)
    assert who.token_id == token.token_id
    assert (who.principal.name, who.principal.roles) == ("steward", frozenset({"data_steward"}))
    assert (who.principal.clearance, who.principal.purpose) == (2, "quality")
    assert who.principal.scope == ("read:quality/*",)
    assert who.principal.authenticated_at == NOON + DAY
    assert who.principal.expires_at == NOON + 30 * DAY, "the token ends before the grant"


def test_a_grant_that_ends_before_the_token_ends_it(rules: AccessRules, store: TokenStore) -> None:
    last = datetime(2026, 11, 21, tzinfo=UTC).date()
    known = tuple(one.model_copy(update={"valid_until": last}) for one in rules.principals)
    text, _ = store.create("steward", SCOPE, NOON, 30 * DAY)
    principal = Authenticator(changed(rules, principals=known), store, ZONE).authenticate(text, None, NOON)
    assert principal.expires_at == datetime(2026, 11, 22, tzinfo=ZONE)


def test_a_purpose_that_is_not_granted_is_denied_by_the_decision(
    door: Authenticator, store: TokenStore, governance: Governance
) -> None:
    text, _ = store.create("steward", ["read"], NOON, DAY)
    decide = DecisionPoint.of(governance).decide
    for credential in (text, signed(claims_at(NOON))):
        granted = door.authenticate(credential, "quality", NOON)
        other = door.authenticate(credential, "audit", NOON)
        assert other.purpose == "audit (not granted)"
        assert decide(granted, "quality/anomalies", NOON).allowed
        assert not decide(other, "quality/anomalies", NOON).allowed


def test_a_token_of_the_identity_provider_is_let_in_with_what_it_says(
    door: Authenticator, governance: Governance
) -> None:
    who = door.identify(signed(claims_at(NOON)), None, NOON)
    assert (who.principal.name, who.token_id, who.principal.scope) == ("firm:E-1042", None, None)
    decide = DecisionPoint.of(governance).decide
    assert decide(who.principal, "quality/anomalies", NOON).allowed
    for changes, reason in (
        ({"groups": ["boss"]}, "unknown roles: boss"),
        ({"groups": []}, "the principal has no role"),
        ({"clearance": 3}, "clearance 3 contradicts the roles"),
        ({"clearance": 0}, "clearance 0 is none of 1 to 4"),
        ({"purposes": []}, "unknown purpose"),
    ):
        asker = door.authenticate(signed(claims_at(NOON, **changes)), None, NOON)
        decision = decide(asker, "quality/anomalies", NOON)
        assert (decision.allowed, reason in decision.reason) == (False, True), decision.reason
    assert not decide(who.principal, "quality/anomalies", NOON + timedelta(minutes=31)).allowed


def test_every_way_to_fail_has_its_reason_and_its_principal(door: Authenticator, store: TokenStore) -> None:
    living, token = store.create("steward", SCOPE, NOON, DAY)
    ended, gone = store.create("steward", SCOPE, NOON, DAY)
    store.revoke(gone.token_id, NOON)
    stranger, _ = store.create("somebody-else", SCOPE, NOON, DAY)
    quick, often = store.create("engineer", SCOPE, NOON, DAY, Rate(1, 1))
    door.authenticate(quick, None, NOON)
    forged = living[:-1] + ("A" if living[-1] != "A" else "B")
    failed = {
        "": ("malformed", "nobody", None),
        "Bearer x": ("malformed", "nobody", None),
        "omgov_": ("malformed", "nobody", None),
        forged: ("unknown", "nobody", None),
        ended: ("revoked", "steward", gone.token_id),
        stranger: ("unknown_principal", "somebody-else", None),
        quick: ("rate_limited", "engineer", often.token_id),
        signed(claims_at(NOON), key=rsa_key(1)): ("bad_signature", "nobody", None),
        signed(claims_at(NOON, aud="billing")): ("wrong_audience", "firm:E-1042", None),
        signed(claims_at(NOON - DAY)): ("expired", "firm:E-1042", None),
    }
    for credential, (reason, principal, token_id) in failed.items():
        refused = refusal(door, credential)
        assert (refused.reason, refused.principal) == (reason, principal)
        assert token_id is None or refused.token_id == token_id
        assert (refused.retry_after_s == 60.0) == (reason == "rate_limited")
        assert str(refused).startswith(f"{TOLD}: ")
    expired = refusal(door, living, NOON + DAY)
    assert (expired.reason, expired.principal, expired.token_id) == ("expired", "steward", token.token_id)


def test_a_failed_proof_is_a_denial_on_record(door: Authenticator, rules: AccessRules, home: Home) -> None:
    refused = refusal(door, signed(claims_at(NOON, aud="billing")))
    with home.log() as log:
        entry = log.record(refused.record("cmdb/owners", NOON, rules.policy_hash, "quality"))
    fields = entry.fields
    assert (fields["principal"], fields["decision"], fields["dataset"]) == ("firm:E-1042", "deny", "cmdb/owners")
    assert (fields["purpose"], fields["policy_hash"]) == ("quality", rules.policy_hash)
    assert "wrong audience" in fields["reason"]
    assert refusal(door, "x").record("cmdb/owners", NOON).principal == "nobody"


def test_a_clock_that_was_set_back_lets_nobody_in(door: Authenticator, store: TokenStore) -> None:
    text, _ = store.create("steward", SCOPE, NOON, DAY)
    short = signed(claims_at(NOON))
    assert refusal(door, short, NOON + timedelta(hours=2)).reason == "expired"
    # Seen expired: it does not come back with the clock.
    assert refusal(door, short, NOON).reason == "clock_set_back"
    assert refusal(door, text, NOON).reason == "clock_set_back"
    store.accept_clock(NOON)
    assert door.authenticate(short, None, NOON).name == "firm:E-1042"


def test_a_store_that_is_broken_lets_nobody_in(rules: AccessRules, tmp_path: Path) -> None:
    path = tmp_path / "access" / "tokens.db"
    with TokenStore(path) as store:
        text, _ = store.create("steward", SCOPE, NOON, DAY)
        door = Authenticator(rules, store, ZONE)
        store.con.execute("DROP TABLE clock")
        for credential in (text, signed(claims_at(NOON))):
            assert refusal(door, credential).reason == "store_unavailable"


def test_providers_that_cannot_be_reached_do_not_keep_tokens_of_this_home_out(
    rules: AccessRules, store: TokenStore
) -> None:
    text, _ = store.create("steward", SCOPE, NOON, DAY)
    ticks = [100.0]
    with key_server(key_set(jwk(rsa_key(), "rsa"))) as server:
        trusted = trusting(rules, provider(jwks_url=server.url))
        door = Authenticator(trusted, store, ZONE, ticks=lambda: ticks[0])
        assert door.authenticate(signed(claims_at(NOON)), None, NOON).name == "firm:E-1042"
    ticks[0] += 3600
    refused = refusal(door, signed(claims_at(NOON)))
    assert (refused.reason, refused.retry_after_s) == ("keys_unavailable", 60.0)
    assert door.authenticate(text, None, NOON).name == "steward"


def test_a_firm_without_identity_providers_takes_its_own_tokens_only(governance: Governance, store: TokenStore) -> None:
    door = Authenticator(changed(governance.access, oidc=()), store, ZONE)
    assert refusal(door, signed(claims_at(NOON))).reason == "unknown_issuer"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(credential=st.text(max_size=120) | st.text(max_size=80).map(lambda text: f"omgov_{text}"))
def test_nothing_else_is_raised_whatever_is_brought(door: Authenticator, credential: str) -> None:
    with pytest.raises(AuthenticationError):
        door.authenticate(credential, None, NOON)
