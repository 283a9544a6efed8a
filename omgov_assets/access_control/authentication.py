"""Who asks: a principal from what a request brings to prove it, a token of this home or one of an identity provider.

Owns what a failed proof tells: the record everything, the caller nothing. Does not belong here: what makes each kind of
proof good (``tokens``, ``oidc``), what the principal may see (``decision``), links that need no proof
(``signed_links``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.oidc import OidcRefusedError, OidcVerifier, looks_like_jwt
from omgov_assets.access_control.principals import Principal, UnknownPrincipalError, known_principal
from omgov_assets.access_control.tokens import TokenError, TokenRefusedError, TokenStore
from omgov_assets.model_management.access_rules import AccessRules
from omgov_assets.model_management.identity_providers import NOBODY

TOKEN_PREFIX = "omgov_"  # noqa: S105 - what every token begins with
# All that whoever asks is ever told.
TOLD = "not authenticated"


class AuthenticationError(Exception):
    """Nobody is let in by this proof. ``str()`` is for the record; who asks is told ``TOLD`` and nothing else.

    Attributes:
        reason: that of ``TokenRefusedError`` or of ``OidcRefusedError``; or unknown_principal, for a token of somebody
            whom the access rules no longer name; or store_unavailable.
        principal: who it is about, where that was proved, else ``nobody``.
        token_id: which token of this home, where that is known.
        retry_after_s: seconds after which it is worth trying again, where that is all that is wrong.
    """

    def __init__(
        self,
        reason: str,
        said: str,
        principal: str | None = None,
        token_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{TOLD}: {said}")
        self.reason, self.principal = reason, principal or NOBODY
        self.token_id, self.retry_after_s = token_id, retry_after_s

    def record(self, asked_for: str, at: datetime, policy_hash: str = "", purpose: str | None = None) -> Decision:
        """What is to be on record of it: a denial of what was asked for."""
        return Decision(at, self.principal, asked_for, "deny", str(self), policy_hash, purpose)


@dataclass(frozen=True)
class Identity:
    """Who asks, and by which token.

    Attributes:
        principal: who asks, as the decision function takes it.
        token_id: the token of this home that proved it; None for one of an identity provider.
    """

    principal: Principal
    token_id: str | None


class Authenticator:
    """Tells who asks; may be shared by threads.

    Args:
        rules: principals that are known by name, and identity providers.
        tokens: the tokens of this home; also its memory of the time.
        zone: that of business days: a grant ends with its last one.
        ticks: seconds of a clock that nobody can set, for keeping keys of identity providers.
    """

    def __init__(
        self,
        rules: AccessRules,
        tokens: TokenStore,
        zone: ZoneInfo,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules, self._tokens, self._zone = rules, tokens, zone
        self._oidc = OidcVerifier(rules.oidc, ticks)

    def authenticate(self, credential: str, purpose: str | None, now: datetime) -> Principal:
        """Who asks, for a purpose; raises as ``identify``."""
        return self.identify(credential, purpose, now).principal

    def identify(self, credential: str, purpose: str | None, now: datetime) -> Identity:
        """Who asks, for a purpose, and by which token.

        Args:
            credential: what the request brings, without the word ``Bearer``.
            purpose: what it asks for, the first one granted where None; one that is not granted is left to the
                decision, which is a denial.
            now: the time (aware).

        Raises:
            AuthenticationError: it proves nothing.
        """
        try:
            if credential.startswith(TOKEN_PREFIX):
                return self._by_token(credential, purpose, now)
            if looks_like_jwt(credential):
                return self._by_oidc(credential, purpose, now)
        except TokenError as error:
            raise AuthenticationError("store_unavailable", str(error)) from error
        raise AuthenticationError("malformed", "what it brings is no token")

    def _by_token(self, credential: str, purpose: str | None, now: datetime) -> Identity:
        try:
            token = self._tokens.authenticate(credential, now)
        except TokenRefusedError as refused:
            known = self._tokens.find(refused.token_id) if refused.token_id is not None else None
            principal = known.principal if known is not None else None
            raise AuthenticationError(
                refused.reason, str(refused), principal, refused.token_id, refused.retry_after_s
            ) from refused
        try:
            granted = known_principal(self._rules, token.principal, self._zone, purpose)
        except UnknownPrincipalError as unknown:
            said = f"token {token.token_id}: {unknown}"
            raise AuthenticationError("unknown_principal", said, token.principal, token.token_id) from unknown
        ends = min(one for one in (token.expires_at, granted.expires_at) if one is not None)
        principal_now = replace(granted, scope=token.scope, authenticated_at=now, expires_at=ends)
        return Identity(principal_now, token.token_id)

    def _by_oidc(self, credential: str, purpose: str | None, now: datetime) -> Identity:
        # Before anything is looked at: one that was seen expired must not come back with the clock.
        if not self._tokens.clock_goes_on(now):
            raise AuthenticationError("clock_set_back", "the clock was set back")
        try:
            return Identity(self._oidc.principal(credential, purpose, now), None)
        except OidcRefusedError as refused:
            raise AuthenticationError(
                refused.reason, str(refused), refused.principal, retry_after_s=refused.retry_after_s
            ) from refused
