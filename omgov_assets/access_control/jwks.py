"""The public keys of an identity provider: fetched, kept for a while, and chosen by the name that a token gives.

Owns when keys are fetched: never more often than once a minute, whatever tokens ask for, and never used for longer than
the provider's entry says. Does not belong here: what a token is worth (``oidc``).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt

from omgov_assets.model_management.identity_providers import KEY_TYPES, IdentityProvider

LARGEST_KEY_SET = 256 * 1024
FETCH_LIMIT_S = 5.0
PAUSE_S = 60.0

_MOST_KEYS = 100
_LONGEST_KEY_NAME = 256
# Shorter ones can be broken; checking a signature by longer ones takes as long as whoever made them likes.
_RSA_BITS = range(2048, 8192 + 1)


class KeysUnavailableError(Exception):
    """The keys of a provider cannot be had, so that nobody is let in by it; says why.

    Attributes:
        retry_after_s: seconds after which they are asked for again.
    """

    def __init__(self, problem: str, retry_after_s: float = PAUSE_S) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class WrongKeyError(Exception):
    """The key that a token names is not for the algorithm that it names."""


@dataclass(frozen=True)
class KeySet:
    """Public keys for signatures, by name; what is of another use, ambiguous or secret is not among them."""

    keys: Mapping[str, Mapping[str, Any]]

    @classmethod
    def parsed(cls, text: bytes | str) -> KeySet:
        """The keys of a JSON Web Key Set (RFC 7517). Raises ``KeysUnavailableError`` where it is none."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise KeysUnavailableError("the key set is not valid JSON") from error
        listed = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(listed, list) or len(listed) > _MOST_KEYS:
            raise KeysUnavailableError(f"the key set is no list of up to {_MOST_KEYS} keys")
        names = [key.get("kid") for key in listed if isinstance(key, dict)]
        return cls({key["kid"]: key for key in listed if _is_usable(key) and names.count(key["kid"]) == 1})

    def key(self, name: str, algorithm: str) -> jwt.PyJWK | None:
        """A key, made for one algorithm; None where there is none of that name.

        Raises:
            WrongKeyError: it is of another type or curve, for another algorithm, or too weak.
        """
        found = self.keys.get(name)
        if found is None:
            return None
        key_type, curve = KEY_TYPES[algorithm]
        if found["kty"] != key_type or found.get("crv") != curve or found.get("alg", algorithm) != algorithm:
            raise WrongKeyError(f"key {name!r} is not for {algorithm}")
        try:
            key = jwt.PyJWK(dict(found), algorithm)
        # What the parts of a key may be, if they are no numbers of a key, is up to whoever sent them.
        except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise WrongKeyError(f"key {name!r} is no {key_type} key") from error
        if key_type == "RSA" and key.key.key_size not in _RSA_BITS:
            raise WrongKeyError(f"key {name!r} has {key.key.key_size} bits")
        return key


class ProviderKeys:
    """The keys of a provider; may be shared by threads.

    Args:
        provider: whose keys.
        ticks: seconds of a clock that nobody can set.
    """

    def __init__(self, provider: IdentityProvider, ticks: Callable[[], float] = time.monotonic) -> None:
        self._url, self._kept_s, self._ticks = provider.jwks_url, float(provider.keys_kept_s), ticks
        self._fetching = threading.Lock()
        # The set and when it was fetched; replaced as a whole, so that it is read without waiting for who fetches.
        self._fetched: tuple[KeySet, float] | None = None
        self._asked_at: float | None = None
        self._fault = "nobody has asked for the keys yet"
        if provider.jwks_url is None:
            # Reviewed with the rules, and as old as these: it is never out of date.
            try:
                self._fetched = (KeySet.parsed(provider.key_set), math.inf)
            except KeysUnavailableError as error:
                self._fault = str(error)

    def key(self, name: str, algorithm: str) -> jwt.PyJWK | None:
        """The key of a name for an algorithm; None where the provider has none.

        Raises:
            KeysUnavailableError: there are no keys that may be used now.
            WrongKeyError: the key is not for this algorithm.
        """
        kept = self._kept()
        if kept is None or name not in kept.keys:
            with self._fetching:
                # Another thread may have fetched them meanwhile.
                kept = self._kept()
                if kept is None or name not in kept.keys:
                    kept = self._fetch() or kept
        if kept is None:
            raise KeysUnavailableError(self._fault, self._wait_s())
        return kept.key(name, algorithm)

    def _kept(self) -> KeySet | None:
        fetched = self._fetched
        return fetched[0] if fetched is not None and self._ticks() - fetched[1] < self._kept_s else None

    def _wait_s(self) -> float:
        return 0.0 if self._asked_at is None else max(0.0, self._asked_at + PAUSE_S - self._ticks())

    def _fetch(self) -> KeySet | None:
        """Ask the provider, where a minute has gone by; None where there is nothing new."""
        if self._url is None or self._wait_s() > 0:
            return None
        # Noted first: a provider that takes its time is not asked more often for it.
        self._asked_at = asked_at = self._ticks()
        try:
            found = KeySet.parsed(fetch(self._url))
        except KeysUnavailableError as error:
            self._fault = str(error)
            return None
        self._fetched = (found, asked_at)
        return found


def fetch(url: str, most_bytes: int = LARGEST_KEY_SET, limit_s: float = FETCH_LIMIT_S) -> bytes:
    """What is at a URL, which is not left for another: no redirect is followed, and no proxy of the environment asked.

    Args:
        url: https, or http on this machine.
        most_bytes: how large the answer may be.
        limit_s: seconds that it may take, from the connection to the last byte.

    Raises:
        KeysUnavailableError: there is no such answer.
    """
    parts = urlsplit(url)
    host, is_safe = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_safe else 80)
    connection = http.client.HTTPConnection(host, port, timeout=limit_s)
    connection.default_port = 443 if is_safe else 80
    deadline = _Deadline(limit_s)
    try:
        with deadline:
            connection.sock = _connected(host, port, is_safe, limit_s, deadline)
            path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
            connection.request("GET", path, headers={"Accept": "application/json", "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise KeysUnavailableError(f"{url} answered with HTTP status {answer.status}")
            body = answer.read(most_bytes + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        is_late = deadline.is_over or isinstance(error, TimeoutError)
        problem = f"did not answer within {limit_s:g} s" if is_late else f"failed: {type(error).__name__}"
        raise KeysUnavailableError(f"{url} {problem}") from error
    finally:
        connection.close()
    # A connection that was cut looks like the end of an answer.
    if deadline.is_over:
        raise KeysUnavailableError(f"{url} did not answer within {limit_s:g} s")
    if len(body) > most_bytes:
        raise KeysUnavailableError(f"{url} answered with more than {most_bytes} bytes")
    if answer.length:
        raise KeysUnavailableError(f"{url} broke off {answer.length} bytes before the end of its answer")
    return body


class _Deadline:
    """Cuts a connection when its time is over: timeouts of sockets begin anew with each byte."""

    def __init__(self, limit_s: float) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._timer = threading.Timer(limit_s, self._cut)
        self._timer.daemon = True

    def watch(self, sock: socket.socket) -> None:
        """Cut this one; at once where the time is over already."""
        with self._lock:
            self._sock = sock
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.is_over = True
            if self._sock is not None:
                # Not SSLSocket's own method, which would let the reader go on without encryption.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._sock = None


def _connected(host: str, port: int, is_safe: bool, limit_s: float, deadline: _Deadline) -> socket.socket:
    sock = socket.create_connection((host, port), timeout=limit_s)
    try:
        if is_safe:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        deadline.watch(sock)
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
    except BaseException:
        sock.close()
        raise
    return sock


def _is_usable(key: object) -> bool:
    """Whether it is a public key for signatures; what is said of others is not looked at."""
    if not isinstance(key, dict):
        return False
    name, operations = key.get("kid"), key.get("key_ops", ["verify"])
    return (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST_KEY_NAME
        and key.get("kty") in ("RSA", "EC", "OKP")
        # Whoever gives the secret part away has no secret.
        and "d" not in key
        and key.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
    )
