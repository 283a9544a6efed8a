"""A principal from an OIDC token: a JWT that one of the firm's identity providers signed.

Belongs here: what makes a token genuine and meant for omgov now, and what its claims say. Does not belong here: the
provider's keys (``jwks``), and whether roles, clearance and purpose go together, which the decision function says.
Times are compared with the time given, not with the machine's, so that the same token is judged the same again.
"""

from __future__ import annotations

import json
import math
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import jwt

from omgov_assets.access_control.jwks import KeysUnavailableError, ProviderKeys, WrongKeyError
from omgov_assets.access_control.principals import Principal, granted_purpose
from omgov_assets.model_management.identity_providers import IdentityProvider

LONGEST_TOKEN = 16 * 1024

_JWT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
# RFC 9068 names access tokens; those of logouts and proofs are signed by the same key and mean something else.
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:|/+=-]{0,254}", re.ASCII)
_MOST_ENTRIES = 1000
_LONGEST_ENTRY = 256
_MOST_AUDIENCES = 16
# Beyond it, no date can be told of a number of seconds.
_LATEST_S = 253_402_300_799


class OidcRefusedError(Exception):
    """A token proves nothing.

    Attributes:
        reason: malformed, unknown_issuer, algorithm_not_allowed, keys_unavailable, unknown_key, wrong_key,
            bad_signature, wrong_audience, expired, not_yet_valid, issued_in_future, lives_too_long, missing_claim
            or malformed_claim.
        principal: who it is about, where its signature is genuine.
        retry_after_s: seconds after which it is worth trying again, where the keys are all that is wrong.
    """

    def __init__(
        self, reason: str, detail: str = "", principal: str | None = None, retry_after_s: float | None = None
    ) -> None:
        said = reason.replace("_", " ")
        super().__init__(f"OIDC token of {principal or 'nobody'}: {said}{f' ({detail})' if detail else ''}")
        self.reason, self.principal, self.retry_after_s = reason, principal, retry_after_s


def looks_like_jwt(text: str) -> bool:
    """Whether a text has the shape of a signed JWT, whatever it says."""
    return len(text) <= LONGEST_TOKEN and _JWT.fullmatch(text) is not None


class OidcVerifier:
    """Makes principals of tokens of the firm's identity providers; may be shared by threads.

    Args:
        providers: whom to trust; ``AccessRules.oidc``.
        ticks: seconds of a clock that nobody can set, for keeping keys.
    """

    def __init__(self, providers: tuple[IdentityProvider, ...], ticks: Callable[[], float] = time.monotonic) -> None:
        self._providers = {one.issuer: (one, ProviderKeys(one, ticks)) for one in providers}

    def principal(self, text: str, purpose: str | None, now: datetime) -> Principal:
        """Who a token is about, for a purpose; for the first one it grants where None.

        Args:
            text: the token.
            purpose: what is asked for; one that is not granted makes the decision a denial.
            now: the time (aware).

        Raises:
            OidcRefusedError: it proves nothing; says why.
        """
        provider, claims = self._proved(text)
        who = _identifier(provider, claims)
        expires_s = _check_times(provider, claims, now, who)
        _check_audience(provider, claims, who)
        return _principal(provider, _Claims(claims, who), purpose, now, expires_s)

    def _proved(self, text: str) -> tuple[IdentityProvider, Mapping[str, Any]]:
        """Claims that a provider signed. Nothing they say counts before that, but whose key to look for."""
        matched = _JWT.fullmatch(text) if len(text) <= LONGEST_TOKEN else None
        if matched is None:
            raise OidcRefusedError("malformed", "it has not the shape of a token")
        header, claims = _json_object(matched[1], "header"), _json_object(matched[2], "claims")
        issuer = claims.get("iss")
        provider, keys = self._providers.get(issuer if isinstance(issuer, str) else "", (None, None))
        if provider is None or keys is None:
            raise OidcRefusedError("unknown_issuer")
        algorithm, key_name = _named(header)
        if algorithm not in provider.algorithms:
            raise OidcRefusedError("algorithm_not_allowed", "its header names another than the provider's")
        try:
            key = keys.key(key_name, algorithm)
            if key is None:
                raise OidcRefusedError("unknown_key")
            # The key is made for the algorithm, so what the header says cannot make it mean another.
            signed = jwt.PyJWS(algorithms=[algorithm]).decode_complete(text, key, [algorithm])
        except KeysUnavailableError as error:
            raise OidcRefusedError("keys_unavailable", str(error), retry_after_s=error.retry_after_s) from error
        except WrongKeyError as error:
            raise OidcRefusedError("wrong_key", str(error)) from error
        except jwt.PyJWTError as error:
            raise OidcRefusedError("bad_signature", type(error).__name__) from error
        if signed["payload"] != _bytes_of(matched[2]):
            raise OidcRefusedError("bad_signature", "what is signed is not what was read")
        return provider, claims


def _bytes_of(segment: str) -> bytes:
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _json_object(segment: str, what: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice")
        return found

    def refused(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        found = json.loads(_bytes_of(segment).decode(), object_pairs_hook=unique, parse_constant=refused)
    except (ValueError, RecursionError) as error:
        raise OidcRefusedError("malformed", f"its {what} cannot be read") from error
    if not isinstance(found, dict):
        raise OidcRefusedError("malformed", f"its {what} are no object")
    return found


def _named(header: Mapping[str, Any]) -> tuple[str, str]:
    """Algorithm and key that a header names. Keys that it brings along are never looked at."""
    algorithm, key_name, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if "crit" in header or "b64" in header:
        raise OidcRefusedError("malformed", "its header asks for what is not known here")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise OidcRefusedError("malformed", "it is of another kind, by its header")
    if not isinstance(algorithm, str):
        raise OidcRefusedError("algorithm_not_allowed", "its header names none")
    if not isinstance(key_name, str) or not key_name:
        raise OidcRefusedError("unknown_key", "its header names none")
    return algorithm, key_name


def _identifier(provider: IdentityProvider, claims: Mapping[str, Any]) -> str:
    name = provider.claims.id
    if name not in claims:
        raise OidcRefusedError("missing_claim", name)
    found = claims[name]
    if not isinstance(found, str) or not _IDENTIFIER.fullmatch(found):
        raise OidcRefusedError("malformed_claim", f"{name} is no identifier")
    return provider.principal_name(found)


def _check_times(provider: IdentityProvider, claims: Mapping[str, Any], now: datetime, who: str) -> float:
    """Refuse a token that does not count now; returns when it ends, in seconds since 1970."""
    issued_s, expires_s = _seconds(claims, "iat", who), _seconds(claims, "exp", who)
    begins_s = _seconds(claims, "nbf", who) if "nbf" in claims else issued_s
    now_s = now.timestamp()
    if now_s >= expires_s + provider.leeway_s:
        raise OidcRefusedError("expired", principal=who)
    if issued_s > now_s + provider.leeway_s:
        raise OidcRefusedError("issued_in_future", "a clock was set back, or the provider's is ahead", who)
    if begins_s > now_s + provider.leeway_s:
        raise OidcRefusedError("not_yet_valid", principal=who)
    if expires_s - issued_s > provider.longest_life_s:
        raise OidcRefusedError("lives_too_long", f"longer than {provider.longest_life_s} s", who)
    return expires_s


def _seconds(claims: Mapping[str, Any], name: str, who: str) -> float:
    if name not in claims:
        raise OidcRefusedError("missing_claim", name, who)
    found = claims[name]
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _LATEST_S:
        raise OidcRefusedError("malformed_claim", f"{name} is no time", who)
    return float(found)


def _check_audience(provider: IdentityProvider, claims: Mapping[str, Any], who: str) -> None:
    if "aud" not in claims:
        raise OidcRefusedError("missing_claim", "aud", who)
    named = claims["aud"]
    audiences = [named] if isinstance(named, str) else named
    if not isinstance(audiences, list) or len(audiences) > _MOST_AUDIENCES:
        raise OidcRefusedError("malformed_claim", "aud is no audience", who)
    if not all(isinstance(one, str) for one in audiences):
        raise OidcRefusedError("malformed_claim", "aud is no audience", who)
    if provider.audience not in audiences:
        raise OidcRefusedError("wrong_audience", principal=who)


@dataclass(frozen=True)
class _Claims:
    """Claims of a genuine token, by the type that they must have."""

    claims: Mapping[str, Any]
    who: str

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of different texts, in its order."""
        found = self._of(name)
        if not isinstance(found, list) or len(found) > _MOST_ENTRIES:
            self._refuse(name, f"no list of up to {_MOST_ENTRIES} texts")
        if not all(isinstance(one, str) and 0 < len(one) <= _LONGEST_ENTRY and one.isprintable() for one in found):
            self._refuse(name, "no list of texts")
        if len(set(found)) < len(found):
            self._refuse(name, "a list that says something twice")
        return tuple(found)

    def whole_number(self, name: str) -> int:
        """A whole number; true, 3.0 and "3" are none."""
        found = self._of(name)
        if type(found) is not int:
            self._refuse(name, "no whole number")
        return int(found)

    def _of(self, name: str) -> Any:
        if name not in self.claims:
            raise OidcRefusedError("missing_claim", name, self.who)
        return self.claims[name]

    def _refuse(self, name: str, problem: str) -> NoReturn:
        raise OidcRefusedError("malformed_claim", f"{name} is {problem}", self.who)


def _principal(
    provider: IdentityProvider, claims: _Claims, purpose: str | None, now: datetime, expires_s: float
) -> Principal:
    said = provider.claims
    groups = claims.texts(said.roles)
    mapping = provider.roles
    roles = groups if mapping is None else tuple(mapping[group] for group in groups if group in mapping)
    return Principal(
        name=claims.who,
        roles=frozenset(roles),
        clearance=claims.whole_number(said.clearance),
        purpose=granted_purpose(purpose, claims.texts(said.purposes)),
        support_groups=frozenset(claims.texts(said.support_groups) if said.support_groups else ()),
        systems=frozenset(claims.texts(said.systems) if said.systems else ()),
        authenticated_at=now,
        # Rounded down: never longer than the token says, but for the leeway that it was let in by.
        expires_at=datetime.fromtimestamp(math.floor(expires_s) + provider.leeway_s, UTC),
    )
