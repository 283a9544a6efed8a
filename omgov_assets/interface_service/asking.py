"""Who asks, and by which rules: what every route but health begins with.

Owns two rules: nothing of a request is looked at before it is proved who sent it; and that is not asked where the rules
cannot be read, which know nobody then: whoever was let in yesterday is no stranger for it. Does not belong here: what
proves who asks (``access_control.authentication``), signing in on pages (``pages``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.authentication import AuthenticationError, Identity
from omgov_assets.access_control.enforcement import EnforcementPoint
from omgov_assets.access_control.principals import Principal
from omgov_assets.data_lake.lake import Lake
from omgov_assets.interface_service.problems import rules_unreadable
from omgov_assets.interface_service.service import Rules, Service
from omgov_assets.model_management.identity_providers import NOBODY

PURPOSE_HEADER = "Omgov-Purpose"
LONGEST_CREDENTIAL = 16_384


@dataclass(frozen=True)
class Asking:
    """A request whose sender is known.

    Attributes:
        service: what the process holds.
        rules: the rules in force when it came.
        identity: who asks, and by which token.
        at: when it came.
    """

    service: Service
    rules: Rules
    identity: Identity
    at: datetime

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.identity.principal

    @property
    def door(self) -> EnforcementPoint:
        """What governed data leaves through."""
        return self.rules.door

    @property
    def lake(self) -> Lake:
        """The tables."""
        return self.service.lake


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service: Service = request.app.state.service
    return service


def readable_rules(request: Request) -> Rules:
    """The rules in force.

    Raises:
        Problem: 503, they cannot be read, so that nothing is given to anybody; that is on record.
        AuditUnavailableError: it cannot be put on record.
    """
    service = service_of(request)
    rules = service.rules()
    if rules.door.closed:
        purpose = request.headers.get(PURPOSE_HEADER)
        service.record_failure(
            Decision(service.clock(), NOBODY, request.url.path, "deny", rules.door.closed, rules.policy_hash, purpose)
        )
        raise rules_unreadable()
    return rules


def identify(request: Request, credential: str) -> Asking:
    """Who a credential proves to ask.

    Raises:
        Problem: the rules cannot be read; as ``readable_rules``.
        AuthenticationError: nobody; that is on record.
        AuditUnavailableError: it cannot be put on record.
    """
    service, rules = service_of(request), readable_rules(request)
    at = service.clock()
    purpose = request.headers.get(PURPOSE_HEADER)
    try:
        if len(credential) > LONGEST_CREDENTIAL:
            raise AuthenticationError("malformed", "what it brings is too long for a token")
        identity = rules.authenticator.identify(credential, purpose, at)
    except AuthenticationError as error:
        service.record_failure(error.record(request.url.path, at, rules.policy_hash, purpose))
        raise
    # For the log line of the request.
    request.state.principal = identity.principal.name
    return Asking(service, rules, identity, at)


def bearer(request: Request) -> str:
    """The credential of ``Authorization: Bearer …``; empty where there is none."""
    scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


# For the document of the interface alone: it says how to prove who asks.
_documented = HTTPBearer(
    auto_error=False, description="Token of `omgov access token create`, or of an identity provider."
)


def asking(request: Request, _documented: Annotated[object, Depends(_documented)] = None) -> Asking:
    """Who asks by the bearer token of a request; raises as ``identify``."""
    return identify(request, bearer(request))


AskingHere = Annotated[Asking, Depends(asking)]
