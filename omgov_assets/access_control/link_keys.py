"""The keys that sign links to governed snapshots: made once, replaced without breaking links that are still good.

Belongs here: the file or the environment variables that hold them. Does not belong here: signing (``signed_links``).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from omgov_assets.access_control.audit_chain import stamp
from omgov_assets.data_lake.durability import fsync

KEY_VARIABLE = "OMGOV_LINK_KEY"
FORMER_KEY_VARIABLE = "OMGOV_LINK_KEY_FORMER"
# No link lives for longer, so that a key is forgotten a day after it was replaced.
LONGEST_LIFE = timedelta(days=1)

_KEY_BYTES = 32
_HEX_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
# Whoever replaces the key more often within a day keeps every link from working.
_MOST_KEYS = 25
_LARGEST_FILE = 64 * 1024


class LinkKeyError(Exception):
    """There is no key to sign links with, or it cannot be kept secret; says what to do."""


@dataclass(frozen=True)
class LinkKey:
    """A secret of 32 bytes, which no representation shows.

    Attributes:
        retired_at: when another took its place (aware); None for the one that signs, or where nobody knows.
    """

    secret: bytes = field(repr=False)
    retired_at: datetime | None = None


@dataclass(frozen=True)
class LinkKeys:
    """Where the keys are: in the environment, or else in a file, which is made when it is first needed.

    In the environment, ``OMGOV_LINK_KEY`` holds the key that signs, ``OMGOV_LINK_KEY_FORMER`` the one before, for as
    long as its links are to work; both are 64 hexadecimal digits. The file is read each time: a key that was replaced
    by one process is replaced for all.

    Attributes:
        path: the file; ``Settings.link_keys``.
        environment: where the variables are.
    """

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def all(self) -> tuple[LinkKey, ...]:
        """The key that signs, then those before it. Raises ``LinkKeyError``."""
        if self.environment.get(KEY_VARIABLE):
            given = [self.environment.get(name) for name in (KEY_VARIABLE, FORMER_KEY_VARIABLE)]
            return tuple(LinkKey(_from_environment(text)) for text in given if text)
        with _errors_told(self.path):
            if not self.path.exists():
                self._make()
            return _read(self.path)

    def rotate(self, now: datetime, former_is_known_to_others: bool = False) -> None:
        """Make another key. Links of the former one stay good until they expire, unless others may know it.

        Args:
            now: the time (aware).
            former_is_known_to_others: no link that was ever signed is good any more.

        Raises:
            LinkKeyError: the keys are in the environment, or the file cannot be used.
        """
        if self.environment.get(KEY_VARIABLE):
            raise LinkKeyError(f"the key is in {KEY_VARIABLE}: put it into {FORMER_KEY_VARIABLE}, and another there")
        with _errors_told(self.path), self._alone():
            # Made even so: another process may be making it now, and what it signs by then is good.
            if not self.path.exists():
                self._make()
            former = () if former_is_known_to_others else _read(self.path)
            kept = [
                LinkKey(key.secret, key.retired_at or now)
                for key in former
                if key.retired_at is None or now - key.retired_at < LONGEST_LIFE
            ]
            if len(kept) >= _MOST_KEYS:
                raise LinkKeyError(f"the key was replaced {len(kept)} times within a day; wait")
            part = self._written([LinkKey(secrets.token_bytes(_KEY_BYTES)), *kept])
            part.replace(self.path)
            fsync(self.path.parent)

    def _make(self) -> None:
        """Make the file, exactly once: whoever comes second takes what the first one made."""
        part = self._written([LinkKey(secrets.token_bytes(_KEY_BYTES))])
        try:
            # Unlike a rename, a link fails where there is a file already.
            with contextlib.suppress(FileExistsError):
                self.path.hardlink_to(part)
        finally:
            part.unlink()
        fsync(self.path.parent)

    def _written(self, keys: list[LinkKey]) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = [
            {"key": key.secret.hex(), "retired_at": stamp(key.retired_at) if key.retired_at else None} for key in keys
        ]
        # Of 0600 from the first moment, whatever the umask is.
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time replaces the key, or one of two new keys would be lost with its links."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _from_environment(text: str) -> bytes:
    if not _HEX_KEY.fullmatch(text.lower()):
        raise LinkKeyError(
            f"{KEY_VARIABLE} and {FORMER_KEY_VARIABLE} are 64 hexadecimal digits each; make one by "
            "`openssl rand -hex 32`"
        )
    return bytes.fromhex(text)


def _read(path: Path) -> tuple[LinkKey, ...]:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(_LARGEST_FILE)
    if stat.S_IMODE(mode) & 0o077:
        raise LinkKeyError(f"{path} can be read by others; restrict it to 0600 and replace the key in it")
    try:
        keys = tuple(
            LinkKey(_secret(one["key"]), datetime.fromisoformat(one["retired_at"]) if one["retired_at"] else None)
            for one in json.loads(content)
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LinkKeyError(f"{path} holds no keys; restore it, or delete it: then no link is good any more") from error
    is_in_order = [key.retired_at is None for key in keys] == [True, *(len(keys) - 1) * [False]]
    if not is_in_order or any(key.retired_at is not None and key.retired_at.tzinfo is None for key in keys):
        raise LinkKeyError(f"{path} does not hold one key and those before it; restore it, or delete it")
    return keys


def _secret(text: object) -> bytes:
    if not isinstance(text, str) or not _HEX_KEY.fullmatch(text):
        raise ValueError("no key")
    return bytes.fromhex(text)


@contextlib.contextmanager
def _errors_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LinkKeyError(f"{path} cannot be used ({error}); until it can, no link is signed or opened") from error
