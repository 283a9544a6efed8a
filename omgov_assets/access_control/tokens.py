"""Tokens: who asks, proved by 256 random bits that are stored nowhere but as a hash.

Belongs here: making, rotating, revoking and checking tokens. Does not belong here: how often one may be used
(``token_rates``), and what a principal may see (the decision), which a token's scope can only narrow.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from omgov_assets.access_control.audit_chain import stamp
from omgov_assets.access_control.token_rates import Rate, RateLimits
from omgov_assets.data_lake.durability import sqlite_transaction
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.data_lake.sqlite_files import open_sqlite

ACTIONS = ("read", "share", "export", "act", "write")
LONGEST_LIFE = timedelta(days=366)
# Requests overtake each other on their way here; a clock that is further back than this was set back.
CLOCK_TOLERANCE = timedelta(seconds=5)

_SCHEMA = read_sql(Path(__file__).with_name("tokens.sql"))
_SCHEMA_VERSION = 1
_SECRET_BYTES = 32
_TOKEN = re.compile(r"omgov_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_SCOPE = re.compile(rf"({'|'.join(ACTIONS)})(:[A-Za-z0-9_*?/.-]+)?", re.ASCII)
_COLUMNS = (
    "token_id, principal, scope, created_at, expires_at, per_minute, burst, rotated_to, ended_at, ended_by, "
    "last_used_day"
)
# How far the stored clock may lag behind, so that not every request waits for a disk.
_CLOCK_STEP = timedelta(minutes=1)
# What the hash of an unknown token is compared with, so that it takes as long as a known one.
_NOBODYS = "0" * 64


class TokenError(Exception):
    """A token cannot be made, rotated or revoked, or the store not be used; says what to do."""


class TokenRefusedError(Exception):
    """A token is worth nothing now.

    Attributes:
        reason: malformed, unknown, revoked, expired, clock_set_back or rate_limited.
        token_id: which token, where it is known.
        retry_after_s: seconds after which it is worth trying again, where the rate is all that is wrong.
    """

    def __init__(self, reason: str, token_id: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(f"token {token_id or 'of nobody'}: {reason.replace('_', ' ')}")
        self.reason, self.token_id, self.retry_after_s = reason, token_id, retry_after_s


@dataclass(frozen=True)
class Token:
    """What is known of a token; not what proves it.

    Attributes:
        token_id: the part of it that may be seen.
        principal: who asks with it.
        scope: ``ACTION`` or ``ACTION:DATASET``, the dataset with ``*`` and ``?``.
        created_at: when it was made.
        expires_at: from when it is worth nothing.
        rate: how often it may be used.
        rotated_to: the token that takes its place.
        ended_at: when it ended, by whatever.
        ended_by: revoked, expired or unused.
        last_used_day: UTC day of its last use.
    """

    token_id: str
    principal: str
    scope: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    rate: Rate
    rotated_to: str | None
    ended_at: datetime | None
    ended_by: str | None
    last_used_day: str | None

    def permits(self, action: str, dataset: str) -> bool:
        """Whether the scope leaves an action on a dataset to the decision."""
        return in_scope(self.scope, action, dataset)

    def state(self, now: datetime) -> str:
        """Active, rotated, expired, revoked or unused."""
        if self.ended_by:
            return self.ended_by
        if now >= self.expires_at:
            return "expired"
        return "rotated" if self.rotated_to else "active"


class TokenStore:
    """The tokens of a home, opened; may be shared by threads.

    Args:
        path: the SQLite file; it is made where it is missing.
        ticks: seconds of a clock that nobody can set, for rates.

    Raises:
        TokenError: the file is of another version of omgov, or cannot be read.
    """

    def __init__(self, path: Path, ticks: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._limits = RateLimits(ticks)
        self._latest = ""
        self._acceptances = 0
        with self._errors_told():
            self.con = open_sqlite(
                path, _SCHEMA, _SCHEMA_VERSION, fill=lambda con: con.execute("INSERT INTO clock VALUES (1, '', 0)")
            )
            try:
                _count_acceptances(self.con)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self.con.close()

    def __enter__(self) -> TokenStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create(
        self, principal: str, scope: Sequence[str], now: datetime, life: timedelta, rate: Rate | None = None
    ) -> tuple[str, Token]:
        """Make a token; returns what proves it, which nobody can be told again, and what is known of it.

        Raises:
            TokenError: the scope, the life or the principal cannot be; or the clock was set back.
        """
        faulty = [entry for entry in scope if not _SCOPE.fullmatch(entry)]
        if faulty or not scope:
            raise TokenError(
                f"scope {', '.join(faulty) or 'of nothing'}: write ACTION or ACTION:DATASET, with an action out of "
                f"{', '.join(ACTIONS)}, such as read:quality/*"
            )
        if not timedelta(0) < life <= LONGEST_LIFE:
            raise TokenError(f"a token lives for {LONGEST_LIFE.days} days at most, and longer than nothing")
        if not principal.strip() or not principal.isprintable():
            raise TokenError("a token is somebody's: name a principal")
        with self._changing(now):
            return self._insert(principal, sorted(set(scope)), now, now + life, rate or Rate())

    def rotate(self, token_id: str, now: datetime, overlap: timedelta, life: timedelta) -> tuple[str, Token]:
        """Make a token that takes another's place, which stays worth something for the overlap and no longer.

        A rotated token can be rotated again as long as its successor was never used, as when that was lost on its way;
        the successor ends then.

        Raises:
            TokenError: there is no such token, it has ended, or its successor is in use.
        """
        if overlap < timedelta(0) or not timedelta(0) < life <= LONGEST_LIFE:
            raise TokenError(
                f"overlap and life are not negative, and a token lives for {LONGEST_LIFE.days} days at most"
            )
        with self._changing(now):
            old = self._living(token_id, now)
            if old.rotated_to is not None:
                successor = self._known(old.rotated_to)
                if successor.last_used_day is not None or successor.rotated_to is not None:
                    raise TokenError(f"{token_id} was rotated to {old.rotated_to}, which is in use; rotate that one")
                self._end(successor, now, "unused")
            secret, new = self._insert(old.principal, old.scope, now, now + life, old.rate)
            self.con.execute(
                "UPDATE tokens SET rotated_to = ?, expires_at = min(expires_at, ?) WHERE token_id = ?",
                (new.token_id, stamp(now + overlap), token_id),
            )
        return secret, new

    def revoke(self, token_id: str, now: datetime) -> Token:
        """End a token at once, in every process; one that has ended stays as it is. Raises ``TokenError``."""
        # A clock that was set back must not keep anybody from taking a right away.
        with self._errors_told(), self._lock, sqlite_transaction(self.con):
            self._end(self._known(token_id), now, "revoked")
            return self._known(token_id)

    def authenticate(self, text: str, now: datetime) -> Token:
        """The token that a text proves, where it is worth something now.

        Raises:
            TokenRefusedError: it is not; says why.
            TokenError: the store cannot be used, so that nobody is let in.
        """
        matched = _TOKEN.fullmatch(text)
        if matched is None:
            raise TokenRefusedError("malformed")
        token_id = matched[1]
        with self._errors_told(), self._lock:
            rows = self.con.execute("SELECT hash FROM tokens WHERE token_id = ?", (token_id,)).fetchall()
            is_proved = hmac.compare_digest(_hash(text), rows[0][0] if rows else _NOBODYS)
            if not rows or not is_proved:
                raise TokenRefusedError("unknown")
            token = self._known(token_id)
            if token.ended_by is not None:
                raise TokenRefusedError("expired" if token.ended_by == "expired" else "revoked", token_id)
            if not self._clock_goes_on(now):
                raise TokenRefusedError("clock_set_back", token_id)
            if now >= token.expires_at:
                # For good: no clock brings it back.
                with sqlite_transaction(self.con):
                    self._end(token, now, "expired")
                raise TokenRefusedError("expired", token_id)
            wait_s = self._limits.take(token_id, token.rate)
            if wait_s > 0:
                raise TokenRefusedError("rate_limited", token_id, wait_s)
            day = stamp(now)[:10]
            if token.last_used_day != day:
                self.con.execute("UPDATE tokens SET last_used_day = ? WHERE token_id = ?", (day, token_id))
            return token

    def tokens(self) -> list[Token]:
        """All tokens there ever were, oldest first."""
        with self._errors_told(), self._lock:
            rows = self.con.execute(
                f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at, token_id"  # noqa: S608 - own columns
            ).fetchall()
        return [_token(row) for row in rows]

    def find(self, token_id: str) -> Token | None:
        """What is known of a token, which proves nothing; None where there is none. Raises ``TokenError``."""
        with self._errors_told(), self._lock:
            rows = self._rows(token_id)
        return _token(rows[0]) if rows else None

    def clock_goes_on(self, now: datetime) -> bool:
        """Whether the time is not before one that was seen, as ``authenticate`` asks; from now on it was seen.

        Raises:
            TokenError: the store cannot be used.
        """
        with self._errors_told(), self._lock:
            return self._clock_goes_on(now)

    def accept_clock(self, now: datetime) -> None:
        """Let the clock's time count again although it is before one that was seen, in every process."""
        with self._errors_told(), self._lock, sqlite_transaction(self.con):
            self.con.execute("UPDATE clock SET latest = ?, acceptances = acceptances + 1", (stamp(now),))

    def _clock_goes_on(self, now: datetime) -> bool:
        """Whether the time is not before one that was seen, by this process or, to the minute, by any."""
        ((stored, acceptances),) = self.con.execute("SELECT latest, acceptances FROM clock").fetchall()
        if acceptances != self._acceptances:
            # Whoever accepted the clock did it for this process as well.
            self._latest, self._acceptances = "", acceptances
        if stamp(now + CLOCK_TOLERANCE) < max(self._latest, stored):
            return False
        self._latest = max(self._latest, stamp(now))
        if not stored or stamp(now - _CLOCK_STEP) >= stored:
            # Not where the clock was accepted since it was looked at: this time may be the one that was taken back.
            self.con.execute(
                "UPDATE clock SET latest = max(latest, ?) WHERE acceptances = ?", (stamp(now), acceptances)
            )
        return True

    @contextmanager
    def _changing(self, now: datetime) -> Iterator[None]:
        """A change that gives somebody a right, all or nothing."""
        with self._errors_told(), self._lock, sqlite_transaction(self.con):
            if not self._clock_goes_on(now):
                raise TokenError(
                    f"the clock was set back to {stamp(now)}; correct it, or let its time count with "
                    "`omgov access token accept-clock`"
                )
            yield

    def _insert(
        self, principal: str, scope: Sequence[str], now: datetime, expires_at: datetime, rate: Rate
    ) -> tuple[str, Token]:
        token_id = secrets.token_hex(6)
        text = f"omgov_{token_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        self.con.execute(
            "INSERT INTO tokens (token_id, hash, principal, scope, created_at, expires_at, per_minute, burst) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                token_id,
                _hash(text),
                principal,
                json.dumps(list(scope)),
                stamp(now),
                stamp(expires_at),
                rate.per_minute,
                rate.burst,
            ),
        )
        return text, self._known(token_id)

    def _living(self, token_id: str, now: datetime) -> Token:
        token = self._known(token_id)
        if token.state(now) not in {"active", "rotated"}:
            raise TokenError(f"{token_id} has ended ({token.state(now)}); create a new token")
        return token

    def _known(self, token_id: str) -> Token:
        rows = self._rows(token_id)
        if not rows:
            raise TokenError(f"{token_id}: no such token; `omgov access token list` shows those there are")
        return _token(rows[0])

    def _rows(self, token_id: str) -> list[tuple[object, ...]]:
        return self.con.execute(
            f"SELECT {_COLUMNS} FROM tokens WHERE token_id = ?",  # noqa: S608 - own columns
            (token_id,),
        ).fetchall()

    def _end(self, token: Token, now: datetime, by: str) -> None:
        self.con.execute(
            "UPDATE tokens SET ended_at = ?, ended_by = ? WHERE token_id = ? AND ended_at IS NULL",
            (stamp(now), by, token.token_id),
        )

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise TokenError(
                f"{self.path} cannot be used ({error}); until it can, no token is worth anything"
            ) from error


def in_scope(scope: Sequence[str], action: str, dataset: str) -> bool:
    """Whether a scope leaves an action on a dataset to the decision."""
    for entry in scope:
        named, _, pattern = entry.partition(":")
        if named == action and fnmatchcase(dataset, pattern or "*"):
            return True
    return False


def _count_acceptances(con: sqlite3.Connection) -> None:
    """Give the clock of a file from before they were counted its count, which whoever wrote that can leave aside."""
    if _counts_acceptances(con):
        return
    with sqlite_transaction(con):
        # Of two that come first, one has done it by now.
        if not _counts_acceptances(con):
            con.execute("ALTER TABLE clock ADD COLUMN acceptances INTEGER NOT NULL DEFAULT 0")


def _counts_acceptances(con: sqlite3.Connection) -> bool:
    return any(row[1] == "acceptances" for row in con.execute("PRAGMA table_info(clock)").fetchall())


def _hash(text: str) -> str:
    # 256 random bits need neither salt nor a slow hash.
    return hashlib.sha256(text.encode()).hexdigest()


def _token(row: tuple[object, ...]) -> Token:
    token_id, principal, scope, created, expires, per_minute, burst, rotated_to, ended_at, ended_by, last_used = row
    return Token(
        token_id=str(token_id),
        principal=str(principal),
        scope=tuple(json.loads(str(scope))),
        created_at=datetime.fromisoformat(str(created)),
        expires_at=datetime.fromisoformat(str(expires)),
        rate=Rate(int(str(per_minute)), int(str(burst))),
        rotated_to=None if rotated_to is None else str(rotated_to),
        ended_at=None if ended_at is None else datetime.fromisoformat(str(ended_at)),
        ended_by=None if ended_by is None else str(ended_by),
        last_used_day=None if last_used is None else str(last_used),
    )
