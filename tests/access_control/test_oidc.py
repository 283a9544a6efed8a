"""OIDC tokens: worth something only if a trusted provider signed exactly this, for omgov, for now."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from audit_cases import NOON
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_provider import (
    ALL_CLAIMS,
    CLAIMS,
    ISSUER,
    all_keys,
    by_hand,
    claims_at,
    ec_key,
    ed_key,
    hmac_of,
    jwk,
    key_set,
    provider,
    rsa_key,
    segment,
    signed,
)

from omgov_assets.access_control.oidc import LONGEST_TOKEN, OidcRefusedError, OidcVerifier, looks_like_jwt
from omgov_assets.access_control.principals import Principal

SECOND = timedelta(seconds=1)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture(scope="module")
def verifier() -> OidcVerifier:
    return OidcVerifier((provider(),))


def rs256(text: bytes) -> bytes:
    return rsa_key().sign(text, padding.PKCS1v15(), hashes.SHA256())


def refusal(verifier: OidcVerifier, text: str, now: datetime = NOON) -> OidcRefusedError:
    with pytest.raises(OidcRefusedError) as refused:
        verifier.principal(text, None, now)
    assert text not in str(refused.value)
    return refused.value


def test_a_token_says_who_asks_what_for_and_with_which_rights() -> None:
    claims = claims_at(NOON, teams=["G-1", "G-2"], systems=["fx"])
    asker = OidcVerifier((provider(claims=ALL_CLAIMS),)).principal(signed(claims), "reporting", NOON + SECOND)
    assert asker == Principal(
        name="firm:E-1042",
        roles=frozenset({"data_steward"}),
        clearance=2,
        purpose="reporting",
        support_groups=frozenset({"G-1", "G-2"}),
        systems=frozenset({"fx"}),
        authenticated_at=NOON + SECOND,
        expires_at=NOON + timedelta(minutes=30, seconds=30),
    )


def test_the_first_purpose_is_the_usual_one_and_others_must_be_granted(verifier: OidcVerifier) -> None:
    text = signed(claims_at(NOON))
    purposes = [verifier.principal(text, asked, NOON).purpose for asked in (None, "reporting", "audit")]
    assert purposes == ["quality", "reporting", "audit (not granted)"]
    nothing = verifier.principal(signed(claims_at(NOON, purposes=[])), None, NOON)
    assert nothing.purpose == "none (not granted)"


@pytest.mark.parametrize(
    ("algorithm", "kid"),
    [
        ("RS256", "rsa"),
        ("PS256", "rsa"),
        ("ES256", "ec-P-256"),
        ("ES384", "ec-P-384"),
        ("ES512", "ec-P-521"),
        ("EdDSA", "ed"),
    ],
)
def test_every_algorithm_takes_the_key_that_is_made_for_it_and_no_other(
    verifier: OidcVerifier, algorithm: str, kid: str
) -> None:
    claims = claims_at(NOON)
    assert verifier.principal(signed(claims, algorithm, kid), None, NOON).name == "firm:E-1042"
    # The same signature under the name of every key that is of another type or curve.
    for other, key in all_keys().items():
        if type(key) is not type(all_keys()[kid]) or other != kid:
            text = signed(claims, algorithm, kid=other, key=all_keys()[kid])
            assert refusal(verifier, text).reason == "wrong_key"


def test_groups_become_the_roles_that_the_firm_says_they_are() -> None:
    mapped = OidcVerifier((provider(roles={"CN=Stewards": "data_steward", "CN=Audit": "compliance_officer"}),))
    claims = claims_at(NOON, groups=["CN=Stewards", "CN=Canteen", "data_engineer"])
    assert mapped.principal(signed(claims), None, NOON).roles == {"data_steward"}
    assert mapped.principal(signed(claims_at(NOON, groups=["CN=Canteen"])), None, NOON).roles == frozenset()


def test_unknown_roles_and_clearances_are_left_to_the_decision(verifier: OidcVerifier) -> None:
    asker = verifier.principal(signed(claims_at(NOON, groups=["boss"], clearance=99)), None, NOON)
    assert (asker.roles, asker.clearance) == ({"boss"}, 99)


# --- The signature ---------------------------------------------------------------------------------------------------


def public_spellings() -> list[bytes]:
    """What an attacker may take for the secret of HMAC: the public key in each spelling there is."""
    public = rsa_key().public_key()
    encodings, formats = serialization.Encoding, serialization.PublicFormat
    return [
        public.public_bytes(encodings.PEM, formats.SubjectPublicKeyInfo),
        public.public_bytes(encodings.PEM, formats.SubjectPublicKeyInfo).strip(),
        public.public_bytes(encodings.DER, formats.SubjectPublicKeyInfo),
        public.public_bytes(encodings.PEM, formats.PKCS1),
        json.dumps(jwk(rsa_key(), "rsa")).encode(),
        b"",
    ]


@pytest.mark.parametrize("secret", public_spellings())
@pytest.mark.parametrize(
    "algorithm", ["HS256", "hs256", "RS256", "none", "None", "NONE", "nOnE", "", None, 256, ["RS256"]]
)
def test_a_public_key_is_no_secret_and_none_is_no_signature(
    verifier: OidcVerifier, algorithm: Any, secret: bytes
) -> None:
    header = {"alg": algorithm, "kid": "rsa", "typ": "JWT"}
    reason = refusal(verifier, by_hand(header, claims_at(NOON), hmac_of(secret))).reason
    assert reason == ("bad_signature" if algorithm == "RS256" else "algorithm_not_allowed")
    empty = f"{segment(header)}.{segment(claims_at(NOON))}."
    assert refusal(verifier, empty).reason == "malformed"


def test_an_algorithm_that_the_provider_does_not_use_is_refused() -> None:
    strict = OidcVerifier((provider(algorithms=("ES256",)),))
    assert refusal(strict, signed(claims_at(NOON), "RS256")).reason == "algorithm_not_allowed"
    assert refusal(strict, signed(claims_at(NOON), "ES384", "ec-P-384")).reason == "algorithm_not_allowed"
    # A key that says what it is for is used for nothing else.
    keyed = OidcVerifier((provider(key_set=key_set(jwk(rsa_key(), "rsa", alg="PS256"))),))
    assert refusal(keyed, signed(claims_at(NOON), "RS256")).reason == "wrong_key"
    assert keyed.principal(signed(claims_at(NOON), "PS256"), None, NOON).clearance == 2


def test_another_key_of_the_same_name_proves_nothing(verifier: OidcVerifier) -> None:
    text = signed(claims_at(NOON), key=rsa_key(1))
    assert refusal(verifier, text).reason == "bad_signature"
    assert refusal(verifier, text).principal is None, "nobody knows whose it is"
    assert refusal(verifier, signed(claims_at(NOON), kid="gone", key=rsa_key())).reason == "unknown_key"


def test_a_key_that_a_token_brings_along_is_never_looked_at(verifier: OidcVerifier) -> None:
    mine = rsa_key(1)
    for header in (
        {"jwk": jwk(mine, "rsa")},
        {"jku": "https://attacker.example.com/keys"},
        {"x5u": "https://attacker.example.com/cert"},
        {"x5c": ["MIIB"]},
    ):
        assert refusal(verifier, signed(claims_at(NOON), key=mine, **header)).reason == "bad_signature"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"alg": "RS256"}, "unknown_key"),
        ({"alg": "RS256", "kid": ""}, "unknown_key"),
        ({"alg": "RS256", "kid": 7}, "unknown_key"),
        ({"alg": "RS256", "kid": ["rsa"]}, "unknown_key"),
        ({"alg": "RS256", "kid": "../../etc/passwd"}, "unknown_key"),
        ({"kid": "rsa"}, "algorithm_not_allowed"),
        ({"alg": "RS256", "kid": "rsa", "typ": "logout+jwt"}, "malformed"),
        ({"alg": "RS256", "kid": "rsa", "typ": None}, "malformed"),
        ({"alg": "RS256", "kid": "rsa", "crit": ["exp"]}, "malformed"),
        ({"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}, "malformed"),
        ({"alg": "RS256", "kid": "rsa", "b64": True}, "malformed"),
        (["RS256"], "malformed"),
        (b'{"alg": "RS256", "kid": "rsa", "kid": "rsa"}', "malformed"),
        (b'{"alg": "RS256", "kid": NaN}', "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 4000, "malformed"),
    ],
)
def test_a_header_that_could_be_read_in_two_ways_is_read_in_none(
    verifier: OidcVerifier, header: Any, reason: str
) -> None:
    text = by_hand(header, claims_at(NOON), rs256)
    assert refusal(verifier, text).reason == reason


@pytest.mark.parametrize("key", [ed_key(), rsa_key()], ids=["ed", "rsa"])
def test_no_single_character_can_be_changed(key: Any) -> None:
    kid, algorithm = ("ed", "EdDSA") if key is ed_key() else ("rsa", "RS256")
    verifier = OidcVerifier((provider(),))
    text = signed(claims_at(NOON), algorithm, kid)
    for position, character in enumerate(text):
        # Its neighbours in the alphabet differ in the lowest bits, which the last character of a part may not use.
        place = ALPHABET.find(character)
        others = {ALPHABET[place ^ 1], ALPHABET[place ^ 2], "."} if place >= 0 else {"A", "_"}
        for other in others - {character}:
            refusal(verifier, text[:position] + other + text[position + 1 :])
        refusal(verifier, text[:position] + text[position + 1 :])


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}(\.[A-Za-z0-9_-]{0,40}){0,4}", fullmatch=True))
def test_nothing_else_is_raised_whatever_is_brought(text: str) -> None:
    with pytest.raises(OidcRefusedError):
        OidcVerifier((provider(),)).principal(text, None, NOON)


def test_an_endless_token_is_not_read(verifier: OidcVerifier) -> None:
    text = signed(claims_at(NOON, groups=[f"g{number:06}" for number in range(2000)]))
    assert len(text) > LONGEST_TOKEN
    assert not looks_like_jwt(text)
    assert refusal(verifier, text).reason == "malformed"


# --- Whom it is from and for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("issuer", ["https://id.example.com", ISSUER + "/", ISSUER.upper(), "", None, 7, [ISSUER], {}])
def test_only_a_trusted_issuer_counts(verifier: OidcVerifier, issuer: Any) -> None:
    claims = claims_at(NOON)
    claims["iss"] = issuer
    header = {"alg": "RS256", "kid": "rsa"}
    assert refusal(verifier, by_hand(header, claims, hmac_of(b"x"))).reason == "unknown_issuer"
    assert refusal(verifier, by_hand(header, claims_at(NOON, iss=None), hmac_of(b"x"))).reason == "unknown_issuer"


def test_one_providers_key_signs_nothing_for_another() -> None:
    second = "https://id.example.com/second"
    keys = key_set(jwk(rsa_key(1), "rsa"))
    both = OidcVerifier((provider(), provider(name="second", issuer=second, key_set=keys)))
    theirs = signed(claims_at(NOON, iss=second), key=rsa_key(1))
    assert both.principal(theirs, None, NOON).name == "second:E-1042"
    assert refusal(both, signed(claims_at(NOON), key=rsa_key(1))).reason == "bad_signature"
    assert refusal(both, signed(claims_at(NOON, iss=second))).reason == "bad_signature"


@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        ("omgov", None),
        (["omgov"], None),
        (["billing", "omgov"], None),
        ("billing", "wrong_audience"),
        (["billing"], "wrong_audience"),
        ([], "wrong_audience"),
        ("OMGOV", "wrong_audience"),
        ("omgov2", "wrong_audience"),
        (None, "missing_claim"),
        ([["omgov"]], "malformed_claim"),
        ({"omgov": 1}, "malformed_claim"),
        (["omgov", 7], "malformed_claim"),
        (["omgov"] * 17, "malformed_claim"),
        (7, "malformed_claim"),
        (True, "malformed_claim"),
    ],
)
def test_a_token_for_somebody_else_is_refused(verifier: OidcVerifier, audience: Any, reason: str | None) -> None:
    text = signed(claims_at(NOON) | {"aud": audience} if audience is not None else claims_at(NOON, aud=None))
    if reason is None:
        assert verifier.principal(text, None, NOON).name == "firm:E-1042"
    else:
        assert refusal(verifier, text).reason == reason


# --- Time ------------------------------------------------------------------------------------------------------------


def seconds(at: datetime) -> int:
    return int(at.timestamp())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": seconds(NOON) - 29}, None),
        ({"exp": seconds(NOON) - 30}, "expired"),
        ({"iat": seconds(NOON) + 30}, None),
        ({"iat": seconds(NOON) + 31}, "issued_in_future"),
        ({"nbf": seconds(NOON) + 30}, None),
        ({"nbf": seconds(NOON) + 31}, "not_yet_valid"),
        ({"exp": seconds(NOON) + 3540}, None),
        ({"exp": seconds(NOON) + 3541}, "lives_too_long"),
        ({"iat": seconds(NOON) - 3600}, "lives_too_long"),
        ({"iat": None}, "missing_claim"),
        ({"exp": None}, "missing_claim"),
        ({"exp": str(seconds(NOON) + 60)}, "malformed_claim"),
        ({"exp": True}, "malformed_claim"),
        ({"exp": [seconds(NOON) + 60]}, "malformed_claim"),
        ({"exp": 10**400}, "malformed_claim"),
        ({"exp": 1e300}, "malformed_claim"),
        ({"iat": -1}, "malformed_claim"),
        ({"nbf": "now"}, "malformed_claim"),
        ({"exp": seconds(NOON) + 60.5}, None),
    ],
)
def test_a_token_counts_for_its_time_and_a_short_one(
    verifier: OidcVerifier, changes: dict[str, Any], reason: str | None
) -> None:
    claims = {"iat": seconds(NOON) - 60, "exp": seconds(NOON) + 60, **changes}
    text = signed(claims_at(NOON, **claims))
    if reason is None:
        verifier.principal(text, None, NOON)
        return
    refused = refusal(verifier, text)
    assert refused.reason == reason
    assert refused.principal == "firm:E-1042", "the signature says who it was"


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_times_that_compare_with_nothing_are_no_json(verifier: OidcVerifier, constant: str) -> None:
    claims = json.dumps(claims_at(NOON)).replace(str(seconds(NOON) + 1800), constant).encode()
    assert constant.encode() in claims
    text = by_hand({"alg": "EdDSA", "kid": "ed"}, claims, ed_key().sign)
    assert refusal(verifier, text).reason == "malformed"


@settings(max_examples=200, deadline=None)
@given(
    issued=st.integers(-7200, 7200),
    life=st.integers(-600, 7200),
    begins=st.none() | st.integers(-7200, 7200),
    leeway=st.sampled_from([0, 1, 30, 120]),
    longest=st.sampled_from([60, 600, 3600]),
)
def test_times_are_judged_as_the_standard_says(
    issued: int, life: int, begins: int | None, leeway: int, longest: int
) -> None:
    verifier = OidcVerifier((provider(leeway_s=leeway, longest_life_s=longest),))
    now_s = seconds(NOON)
    nbf = None if begins is None else now_s + begins
    claims = claims_at(NOON, iat=now_s + issued, exp=now_s + issued + life, nbf=nbf)
    is_good = issued <= leeway and issued + life + leeway > 0 and (begins or 0) <= leeway and life <= longest
    try:
        asker = verifier.principal(signed(claims, "EdDSA", "ed"), None, NOON)
    except OidcRefusedError:
        assert not is_good
    else:
        assert is_good
        assert asker.expires_at == datetime.fromtimestamp(now_s + issued + life + leeway, UTC)
        assert asker.expires_at > NOON, "the decision lets in whom this lets in"


# --- Claims ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["groups", "purposes", "teams", "systems"])
@pytest.mark.parametrize(
    "value",
    [
        "data_steward",
        {"data_steward": True},
        [["data_steward"]],
        [{"name": "data_steward"}],
        [None],
        [7],
        [""],
        ["a\u0000b"],
        ["\ud800"],
        ["x" * 257],
        ["a", "a"],
        [str(number) for number in range(1001)],
        7,
        True,
    ],
    ids=lambda value: str(value)[:20].encode("ascii", "replace").decode(),
)
def test_a_list_of_texts_is_nothing_else(name: str, value: Any) -> None:
    verifier = OidcVerifier((provider(claims=ALL_CLAIMS),))
    claims = claims_at(NOON, teams=[], systems=[]) | {name: value}
    refused = refusal(verifier, signed(claims, "EdDSA", "ed"))
    assert (refused.reason, refused.principal) == ("malformed_claim", "firm:E-1042")
    del claims[name]
    assert refusal(verifier, signed(claims, "EdDSA", "ed")).reason == "missing_claim"


@pytest.mark.parametrize("value", ["2", 2.0, True, [2], None, {}])
def test_a_clearance_is_a_whole_number(verifier: OidcVerifier, value: Any) -> None:
    reason = refusal(verifier, signed(claims_at(NOON) | {"clearance": value})).reason
    assert reason == "malformed_claim"
    assert refusal(verifier, signed(claims_at(NOON, clearance=None))).reason == "missing_claim"


@pytest.mark.parametrize("value", ["", " ", "a b", "a\nb", "x" * 256, "-x", "ü", 7, ["a"], {}])
def test_an_identifier_is_one_that_can_stand_in_the_record(value: Any) -> None:
    named = OidcVerifier((provider(claims={**CLAIMS, "id": "employee"}),))
    text = signed(claims_at(NOON, employee=value), "EdDSA", "ed")
    assert refusal(named, text).reason == "malformed_claim"
    assert refusal(named, signed(claims_at(NOON), "EdDSA", "ed")).reason == "missing_claim"


def test_a_claim_that_stands_twice_is_refused_although_it_is_signed(verifier: OidcVerifier) -> None:
    claims = json.dumps(claims_at(NOON))[:-1] + ', "clearance": 1}'
    text = by_hand({"alg": "EdDSA", "kid": "ed"}, claims.encode(), ed_key().sign)
    assert refusal(verifier, text).reason == "malformed"
    once = by_hand({"alg": "EdDSA", "kid": "ed"}, claims_at(NOON), ed_key().sign)
    assert verifier.principal(once, None, NOON).clearance == 2


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(
    changes=st.dictionaries(
        st.sampled_from(["sub", "aud", "iat", "exp", "nbf", "groups", "clearance", "purposes", "other"]),
        json_values,
        max_size=4,
    )
)
def test_whatever_is_signed_gives_a_principal_of_the_right_types_or_a_reason(changes: dict[str, Any]) -> None:
    text = by_hand({"alg": "EdDSA", "kid": "ed"}, claims_at(NOON) | changes, ed_key().sign)
    try:
        asker = OidcVerifier((provider(),)).principal(text, None, NOON)
    except OidcRefusedError:
        assert changes.keys() - {"other"}
        return
    said = claims_at(NOON) | changes
    assert asker.name == f"firm:{said['sub']}"
    assert asker.roles == frozenset(said["groups"])
    assert type(asker.clearance) is int
    assert asker.clearance == said["clearance"]
    assert asker.purpose == (said["purposes"][0] if said["purposes"] else "none (not granted)")
    assert asker.expires_at is not None
    assert asker.expires_at > NOON


def test_a_key_on_another_curve_or_too_weak_is_no_key() -> None:
    weak, odd = jwk(rsa_key(2, 1024), "weak"), jwk(ec_key("secp256k1"), "odd")
    broken = {**jwk(ec_key(), "broken"), "x": base64.urlsafe_b64encode(b"\1" * 32).decode().rstrip("=")}
    verifier = OidcVerifier((provider(key_set=key_set(weak, odd, broken)),))
    claims = claims_at(NOON)
    with pytest.warns(match="below"):
        text = signed(claims, "RS256", "weak", rsa_key(2, 1024))
    assert refusal(verifier, text).reason == "wrong_key"
    assert refusal(verifier, signed(claims, "ES256", "odd", ec_key())).reason == "wrong_key"
    assert refusal(verifier, signed(claims, "ES256", "broken", ec_key())).reason == "wrong_key"
