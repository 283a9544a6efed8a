"""Links to governed snapshots that prove themselves: whoever has one reads that snapshot, for minutes, while they may.

A link is bound to a principal, the token it was made with, the offer it was given under, the rules it was decided by
and its expiry, and signed with HMAC-SHA256. What can change after it was signed is looked at each time it is opened,
the offer by whoever keeps those. Does not belong here: keys (``link_keys``), deciding who gets a link (``decision``),
handing out the file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from omgov_assets.access_control.link_keys import LONGEST_LIFE, LinkKeyError, LinkKeys
from omgov_assets.access_control.principals import Principal
from omgov_assets.access_control.tokens import CLOCK_TOLERANCE, Token, TokenError, TokenStore
from omgov_assets.model_management.access_rules import AccessRules

USUAL_LIFE = timedelta(minutes=15)

# Says what is signed, so that no other signature by the same key is one of a link.
_DOMAIN = b"omgov signed link 1\n"
_TEXT = re.compile(r"([A-Za-z0-9_-]{1,4000})\.([A-Za-z0-9_-]{43})", re.ASCII)
_LONGEST_PART = 512
# Links of before they named their offer; none of them outlives its day.
_FIELDS_WITHOUT_OFFER = 6


class LinkError(Exception):
    """A link cannot be signed; says why."""


class LinkRefusedError(Exception):
    """A link opens nothing.

    Attributes:
        reason: malformed, forged, wrong_principal, clock_set_back, expired, policy_changed, unknown_token,
            token_revoked, token_expired, foreign_token, unknown_principal, grant_over, or unavailable where keys or
            tokens cannot be read.
        principal: whose it is, where its signature is genuine, else None.
    """

    def __init__(self, reason: str, principal: str | None = None) -> None:
        super().__init__(f"link of {principal or 'nobody'}: {reason.replace('_', ' ')}")
        self.reason, self.principal = reason, principal


@dataclass(frozen=True)
class Link:
    """What a link says.

    Attributes:
        snapshot_id: which governed snapshot.
        principal: whose it is.
        token_id: the token it was made with; None for a token of an identity provider, which is not revoked but short.
        offer: what it was given under, by an identifier; whoever opens it sees to it that this still stands.
        policy_hash: the rules that were decided by.
        issued_at: when it was signed (UTC, whole seconds).
        expires_at: from when it opens nothing (UTC, whole seconds).
    """

    snapshot_id: str
    principal: str
    token_id: str | None
    offer: str
    policy_hash: str
    issued_at: datetime
    expires_at: datetime


class SignedLinks:
    """Signs links and opens them; may be shared by threads.

    Args:
        keys: what they are signed with.
        rules: the access rules that hold now.
        tokens: the tokens of this home; also its memory of the time.
        zone: that of business days: a grant ends with its last one.
        policy_hash: what links are bound to; the hash of the access rules where None.
    """

    def __init__(
        self,
        keys: LinkKeys,
        rules: AccessRules,
        tokens: TokenStore,
        zone: ZoneInfo,
        policy_hash: str | None = None,
    ) -> None:
        self._keys, self._rules, self._tokens, self._zone = keys, rules, tokens, zone
        self._policy_hash = rules.policy_hash if policy_hash is None else policy_hash

    def sign(
        self,
        snapshot_id: str,
        principal: Principal,
        token_id: str | None,
        offer: str,
        policy_hash: str,
        now: datetime,
        expires_at: datetime | None = None,
    ) -> str:
        """A link as a text of letters, digits, ``-``, ``_`` and one point, which needs no escaping in a URL.

        Args:
            snapshot_id: which governed snapshot.
            principal: whose it is to be; it expires with the principal at the latest.
            token_id: the token that the principal came with; see ``Identity.token_id``.
            offer: what it is given under, such as the identifier of a shared table.
            policy_hash: what these links are bound to.
            now: the time (aware).
            expires_at: when it expires; after a quarter of an hour where None.

        Raises:
            LinkError: it would live for more than a day or not at all, or a part of it cannot be.
            LinkKeyError: there is no key to sign with.
        """
        ends = now + USUAL_LIFE if expires_at is None else expires_at
        if ends - now > LONGEST_LIFE:
            raise LinkError(f"a link lives for {LONGEST_LIFE.days} day at most")
        if principal.expires_at is not None:
            ends = min(ends, principal.expires_at)
        # Both rounded down: never good for longer than was asked for.
        link = Link(snapshot_id, principal.name, token_id, offer, policy_hash, _whole_second(now), _whole_second(ends))
        if link.expires_at <= now:
            raise LinkError("the link, or the principal's grant, would be over before it is used")
        for part in (snapshot_id, principal.name, offer, policy_hash, *([] if token_id is None else [token_id])):
            if not 0 < len(part) <= _LONGEST_PART or not part.isprintable():
                raise LinkError(f"{part[:32]!r} cannot be a part of a link")
        content = _encoded(link)
        text = f"{_base64(content)}.{_base64(_signature(content, self._keys.all()[0].secret))}"
        if not _TEXT.fullmatch(text):
            raise LinkError("the parts of the link are too long together")
        return text

    def open(self, text: str, now: datetime, asked_by: Principal | None = None) -> Link:
        """What a link opens, where it does so now.

        Args:
            text: the link.
            now: the time (aware).
            asked_by: who asks, where the request proves that as well.

        Raises:
            LinkRefusedError: it opens nothing; says why.
        """
        link = self._genuine(text)
        who = link.principal
        if asked_by is not None and asked_by.name != who:
            raise LinkRefusedError("wrong_principal", who)
        try:
            clock_goes_on = self._tokens.clock_goes_on(now)
            token = self._tokens.find(link.token_id) if link.token_id is not None else None
        except TokenError as error:
            raise LinkRefusedError("unavailable", who) from error
        if not clock_goes_on or now + CLOCK_TOLERANCE < link.issued_at:
            raise LinkRefusedError("clock_set_back", who)
        if now >= link.expires_at:
            raise LinkRefusedError("expired", who)
        if link.policy_hash != self._policy_hash:
            raise LinkRefusedError("policy_changed", who)
        objection = self._objection(link, token, now)
        if objection is not None:
            raise LinkRefusedError(objection, who)
        return link

    def _genuine(self, text: str) -> Link:
        matched = _TEXT.fullmatch(text)
        if matched is None:
            raise LinkRefusedError("malformed")
        content, signature = _bytes(matched[1]), _bytes(matched[2])
        try:
            keys = self._keys.all()
        except LinkKeyError as error:
            raise LinkRefusedError("unavailable") from error
        # All of them, whichever fits, so that nobody can tell which by the time it takes.
        fitting = [key for key in keys if hmac.compare_digest(_signature(content, key.secret), signature)]
        if not fitting:
            raise LinkRefusedError("forged")
        link = _decoded(content)
        retired_at = fitting[0].retired_at
        # Somebody who knows a former key signs with it what was never asked for.
        if retired_at is not None and link.issued_at > retired_at:
            raise LinkRefusedError("forged")
        return link

    def _objection(self, link: Link, token: Token | None, now: datetime) -> str | None:
        """What has happened since to the token and the principal of a link that speaks against it."""
        if link.token_id is None:
            name = link.principal
            is_known = any(name.startswith(provider.principal_name("")) for provider in self._rules.oidc)
            return None if is_known else "unknown_principal"
        if token is None:
            return "unknown_token"
        state = token.state(now)
        if state not in {"active", "rotated"}:
            return "token_expired" if state == "expired" else "token_revoked"
        if token.principal != link.principal:
            return "foreign_token"
        known = self._rules.principal_of.get(link.principal)
        if known is None:
            return "unknown_principal"
        ends = datetime.combine(known.valid_until + timedelta(days=1), time.min, self._zone)
        return "grant_over" if now >= ends else None


def _whole_second(at: datetime) -> datetime:
    return datetime.fromtimestamp(math.floor(at.timestamp()), UTC)


def _encoded(link: Link) -> bytes:
    """The one way to write a link."""
    *parts, issued_at, expires_at = astuple(link)
    fields = [*parts, int(issued_at.timestamp()), int(expires_at.timestamp())]
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _decoded(content: bytes) -> Link:
    """A link that was written by ``sign``; whatever else somebody signed with the key is none."""
    try:
        fields = json.loads(content)
        if isinstance(fields, list) and len(fields) == _FIELDS_WITHOUT_OFFER:
            raise LinkRefusedError("expired", str(fields[1]))
        snapshot_id, principal, token_id, offer, policy_hash, issued_s, expires_s = fields
        issued_at, expires_at = (datetime.fromtimestamp(seconds, UTC) for seconds in (issued_s, expires_s))
        link = Link(snapshot_id, principal, token_id, offer, policy_hash, issued_at, expires_at)
        is_whole = _encoded(link) == content and expires_at - issued_at <= LONGEST_LIFE
    except (ValueError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise LinkRefusedError("malformed") from error
    texts = (snapshot_id, principal, offer, policy_hash, *([] if token_id is None else [token_id]))
    if not is_whole or not all(isinstance(one, str) for one in texts):
        raise LinkRefusedError("malformed")
    return link


def _signature(content: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, _DOMAIN + content, hashlib.sha256).digest()


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).decode("ascii").rstrip("=")


def _bytes(text: str) -> bytes:
    """What a text encodes, where it is the one text that does: the last character has bits that say nothing."""
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise LinkRefusedError("malformed") from error
    if _base64(content) != text:
        raise LinkRefusedError("malformed")
    return content
