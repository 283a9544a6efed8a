"""Identity providers of the firm, whose OIDC tokens say who asks: the entries of ``oidc`` in ``access.yaml``.

Belongs here: an entry and its key set as checked objects. Does not belong here: what a token of a provider is worth
(``access_control.oidc``), fetching keys (``access_control.jwks``), and what the roles it names may see.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from omgov_assets.model_management.documents import read_json
from omgov_assets.model_management.errors import GovernanceError

# All of them asymmetric: who can verify cannot sign. Curves and key types are those of RFC 7518 and RFC 8037.
KEY_TYPES: dict[str, tuple[str, str | None]] = {
    **{f"{family}{size}": ("RSA", None) for family in ("RS", "PS") for size in (256, 384, 512)},
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
KEY_SET_SUFFIX = ".jwks.json"
# Stands in the record for somebody whose name is not known.
NOBODY = "nobody"

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What a token must say by the standard, which nothing else can be taken from.
_REGISTERED = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "nonce", "azp"})
_PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

ClaimName = Annotated[str, Field(min_length=1, max_length=128)]


class Claims(BaseModel):
    """Which claims of a token say what; each that is named here must be in it.

    Attributes:
        id: identifier of the person or service, a text.
        roles: roles, or the provider's groups that ``IdentityProvider.roles`` makes roles of; a list of texts.
        clearance: highest classification level that it may see, a whole number.
        purposes: what it may ask for, the usual purpose first; a list of texts.
        support_groups: its support groups, a list of texts.
        systems: its business systems, a list of texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: ClaimName = "sub"
    roles: ClaimName
    clearance: ClaimName
    purposes: ClaimName
    support_groups: ClaimName | None = None
    systems: ClaimName | None = None

    @model_validator(mode="after")
    def _names_each_once(self) -> Claims:
        named = [one for one in self.model_dump().values() if one is not None]
        twice = sorted({one for one in named if named.count(one) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} cannot say two things; name another claim")
        registered = sorted(_REGISTERED.intersection(named))
        if registered:
            raise ValueError(f"{', '.join(registered)} has a meaning of its own in every token; name another claim")
        return self


class IdentityProvider(BaseModel):
    """An OIDC provider that the firm trusts to say who asks and what they were granted.

    Attributes:
        name: goes before the identifiers of its principals in the record: ``<name>:<identifier>``.
        issuer: ``iss`` of its tokens, to the letter.
        audience: ``aud`` of tokens that are meant for omgov.
        algorithms: signatures that are accepted, asymmetric ones only.
        jwks_url: where its keys are, by https; by http only on this machine.
        jwks_file: key set beside ``access.yaml`` instead, ``<name>.jwks.json``.
        claims: which claims say what.
        roles: role by group of the provider. Groups that it does not name give nothing; without it, the provider's
            groups are roles.
        longest_life_s: from ``iat`` to ``exp`` at most, in seconds.
        leeway_s: by how many seconds the provider's clock may differ.
        keys_kept_s: for how many seconds fetched keys are used.
        key_set: text of ``jwks_file``; it is not written in the entry.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    issuer: Annotated[str, Field(min_length=1, max_length=512)]
    audience: Annotated[str, Field(min_length=1, max_length=512)]
    algorithms: Annotated[tuple[str, ...], Field(min_length=1)]
    jwks_url: Annotated[str, Field(max_length=2048)] | None = None
    jwks_file: str | None = None
    claims: Claims
    roles: dict[Annotated[str, Field(min_length=1, max_length=256)], str] | None = None
    longest_life_s: Annotated[int, Field(ge=60, le=86_400, strict=True)] = 3600
    leeway_s: Annotated[int, Field(ge=0, le=120, strict=True)] = 30
    keys_kept_s: Annotated[int, Field(ge=60, le=86_400, strict=True)] = 3600
    key_set: Annotated[str, Field(exclude=True, repr=False)] = ""

    # All on the whole entry, so that a secret written into a URL by mistake is not repeated in the message.
    @model_validator(mode="after")
    def _can_be_trusted(self) -> IdentityProvider:
        for algorithm in self.algorithms:
            if algorithm not in KEY_TYPES:
                raise ValueError(f"algorithms: {_why_not(algorithm)}; choose of {', '.join(KEY_TYPES)}")
        if len(set(self.algorithms)) < len(self.algorithms):
            raise ValueError("algorithms: one stands twice; keep one of the two")
        _require_safe_url("issuer", self.issuer)
        if (self.jwks_url is None) == (self.jwks_file is None):
            raise ValueError("name jwks_url or jwks_file, one of the two")
        if self.jwks_url is not None:
            _require_safe_url("jwks_url", self.jwks_url)
        if self.jwks_file is not None and not re.fullmatch(r"[a-z0-9][a-z0-9_-]*\.jwks\.json", self.jwks_file):
            raise ValueError(f"jwks_file is the name of a file beside access.yaml that ends with {KEY_SET_SUFFIX}")
        return self

    def principal_name(self, identifier: str) -> str:
        """How somebody of this provider is called in decisions and on record, never like somebody of another."""
        return f"{self.name}:{identifier}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, so that nobody is on the way."""
    return host in _LOOPBACK


def with_key_sets(providers: tuple[IdentityProvider, ...], path: Path) -> tuple[IdentityProvider, ...]:
    """The providers with the key sets that lie beside their document.

    Args:
        providers: entries of the document.
        path: the document.

    Raises:
        GovernanceError: a key set is missing or is none, or holds what must be known to nobody but the provider.
    """
    return tuple(
        one.model_copy(update={"key_set": _key_set_text(path.with_name(one.jwks_file))}) if one.jwks_file else one
        for one in providers
    )


def check_identity_providers(
    providers: tuple[IdentityProvider, ...], roles: frozenset[str], principals: list[str], path: Path
) -> None:
    """Refuse providers that cannot be told apart, from each other or from principals that are known by name.

    Args:
        providers: entries of the document.
        roles: names of roles that there are.
        principals: names of principals that the document knows.
        path: the document.

    Raises:
        GovernanceError: a name or an issuer stands twice; a mapped role does not exist; a principal is called as one
            of a provider would be.
    """
    for position, one in enumerate(providers):
        key = f"oidc[{position}]"
        for field in ("name", "issuer"):
            value = getattr(one, field)
            if any(getattr(before, field) == value for before in providers[:position]):
                raise GovernanceError(path, f"{key}.{field}", f"{value!r} stands twice", "keep one of the two")
        for group, role in (one.roles or {}).items():
            if role not in roles:
                remedy = f"name one of {', '.join(sorted(roles)) or 'roles, of which there is none'}"
                raise GovernanceError(path, f"{key}.roles.{group}", f"no role is called {role!r}", remedy)
        for place, principal in enumerate(principals):
            if principal.startswith(one.principal_name("")):
                problem = f"{principal!r} is a name for principals of the identity provider {one.name!r}"
                raise GovernanceError(path, f"principals[{place}].id", problem, "call it otherwise")


def _why_not(algorithm: str) -> str:
    if algorithm.lower() == "none":
        return "none is no signature"
    if algorithm.upper().startswith("HS"):
        return "HS… is symmetric: whoever can verify such a token can make one"
    return f"{algorithm[:32]!r} is no algorithm that is known here"


def _require_safe_url(key: str, text: str) -> None:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError as error:
        raise ValueError(f"{key} is no URL") from error
    if not re.fullmatch(r"[\x21-\x7e]+", text) or not host:
        raise ValueError(f"{key} is no URL")
    if "@" in url.netloc or url.fragment or (key == "issuer" and url.query):
        raise ValueError(f"{key} has neither a user, nor a password, nor a fragment; an issuer has no query either")
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        raise ValueError(f"{key} begins with https:// (http:// only for this machine)")


def _key_set_text(path: Path) -> str:
    document: Any = read_json(path)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not keys:
        raise GovernanceError(path, "keys", "is no list of keys", 'write a JSON Web Key Set: {"keys": [...]}')
    seen: set[str] = set()
    for position, key in enumerate(keys):
        where = f"keys[{position}]"
        if not isinstance(key, dict) or not isinstance(key.get("kid"), str) or not isinstance(key.get("kty"), str):
            raise GovernanceError(path, where, "is no key with kid and kty", "write a public JSON Web Key")
        if _PRIVATE_PARTS & key.keys():
            raise GovernanceError(path, where, "holds a secret", "write the public part only, and replace the key pair")
        if key["kid"] in seen:
            raise GovernanceError(path, f"{where}.kid", f"{key['kid']!r} stands twice", "keep one of the two")
        seen.add(key["kid"])
    return json.dumps(document)
