"""Who asks, for what, and until when: a principal as the decision function takes it.

Does not belong here: proving that somebody is who they say (tokens), and what they may see (``decision``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo

from omgov_assets.model_management.access_rules import AccessRules


class UnknownPrincipalError(LookupError):
    """A principal that the access rules do not name."""


@dataclass(frozen=True)
class Principal:
    """A person or service, with what it was granted.

    Attributes:
        name: identifier, as it is put on record; no personal data.
        roles: roles of the access rules.
        clearance: highest classification level that it may see, 1 to 4.
        purpose: what it asks for.
        support_groups: support groups it belongs to.
        systems: business systems it answers for.
        authenticated_at: when it proved who it is (aware), where it did.
        expires_at: when the grant ends (aware); None only where nothing ends it.
        scope: what the token that it came with narrows its rights to, as ``Token.scope``; None for no such bounds.
    """

    name: str
    roles: frozenset[str]
    clearance: int
    purpose: str
    support_groups: frozenset[str] = frozenset()
    systems: frozenset[str] = frozenset()
    authenticated_at: datetime | None = None
    expires_at: datetime | None = None
    scope: tuple[str, ...] | None = None


def known_principal(rules: AccessRules, name: str, zone: tzinfo, purpose: str | None = None) -> Principal:
    """A principal by the name that the access rules give it; for its first purpose where none is given.

    ``zone`` is that of business days: a grant ends with its last one. A purpose that is not granted becomes the
    principal's all the same, and the decision is a denial.

    Raises:
        UnknownPrincipalError: the rules name no such principal.
    """
    known = rules.principal_of.get(name)
    if known is None:
        there = ", ".join(sorted(rules.principal_of)) or "none"
        raise UnknownPrincipalError(f"{name}: no such principal; the access rules name {there}")
    return Principal(
        name=known.id,
        roles=frozenset(known.roles),
        clearance=known.clearance,
        purpose=granted_purpose(purpose, known.purposes),
        support_groups=frozenset(known.support_groups),
        systems=frozenset(known.systems),
        expires_at=datetime.combine(known.valid_until + timedelta(days=1), time.min, zone),
    )


def granted_purpose(purpose: str | None, granted: tuple[str, ...]) -> str:
    """The purpose of a principal: the first one granted where none is given; one that is not granted says so."""
    chosen = purpose or next(iter(granted), "none")
    return chosen if chosen in granted else f"{chosen} (not granted)"
