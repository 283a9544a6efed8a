"""Keys of identity providers, from a real web server: slow, huge, redirecting, broken, gone, flooded with questions."""

from __future__ import annotations

import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_provider import KeyServer, ec_key, ed_key, jwk, key_server, key_set, provider, rsa_key

from omgov_assets.access_control import jwks
from omgov_assets.access_control.jwks import KeySet, KeysUnavailableError, ProviderKeys, WrongKeyError, fetch

FIRST, SECOND = jwk(ed_key(), "first"), jwk(rsa_key(), "second")
KEPT_S = 600


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server(key_set(FIRST)) as state:
        yield state


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(server: KeyServer, clock: Clock) -> ProviderKeys:
    return ProviderKeys(provider(jwks_url=server.url, keys_kept_s=KEPT_S), clock)


def test_keys_are_fetched_once_and_kept_for_their_time(keys: ProviderKeys, server: KeyServer, clock: Clock) -> None:
    for _ in range(5):
        assert keys.key("first", "EdDSA") is not None
    clock.now_s += KEPT_S - 1
    assert keys.key("first", "EdDSA") is not None
    assert server.asked == 1
    clock.now_s += 1
    assert keys.key("first", "EdDSA") is not None
    assert server.asked == 2


def test_an_unknown_name_makes_them_fetched_anew_but_once_a_minute(
    keys: ProviderKeys, server: KeyServer, clock: Clock
) -> None:
    assert keys.key("first", "EdDSA") is not None
    server.content = key_set(FIRST, SECOND).encode()
    # A flood of made-up names: nothing is asked, and the known key goes on working.
    for number in range(200):
        assert keys.key(f"made-up-{number}", "RS256") is None
    assert (server.asked, keys.key("first", "EdDSA") is not None) == (1, True)
    clock.now_s += jwks.PAUSE_S
    assert keys.key("second", "RS256") is not None
    for number in range(200):
        assert keys.key(f"made-up-{number}", "RS256") is None
    assert server.asked == 2


def test_a_key_that_the_provider_withdrew_is_gone_with_the_next_fetch(
    keys: ProviderKeys, server: KeyServer, clock: Clock
) -> None:
    assert keys.key("first", "EdDSA") is not None
    server.content = key_set(SECOND).encode()
    clock.now_s += KEPT_S
    assert keys.key("first", "EdDSA") is None
    assert keys.key("second", "RS256") is not None


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 404},
        {"status": 204},
        {"status": 301, "headers": {"Location": "https://attacker.example.com/keys"}},
        {"status": 302, "headers": {"Location": "/other"}},
        {"status": 307, "headers": {"Location": "http://127.0.0.1:1/keys"}},
        {"content": b""},
        {"content": b"<html>sign in</html>"},
        {"content": b"\xff\xfe\x00"},
        {"content": b"[" * 100_000},
        {"content": b"[]"},
        {"content": b'{"keys": {}}'},
        {"content": b'{"keys": null}'},
        {"content": json.dumps({"keys": [FIRST] * 101}).encode()},
        {"content": key_set(FIRST).encode() + b" " * jwks.LARGEST_KEY_SET},
        {"content": key_set(FIRST).encode()[:-1]},
        {"headers": {"Content-Length": "100000"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
    ],
)
def test_old_keys_outlive_a_failed_fetch_only_until_their_time_is_over(
    keys: ProviderKeys, server: KeyServer, clock: Clock, fault: dict[str, Any]
) -> None:
    assert keys.key("first", "EdDSA") is not None
    for name, value in fault.items():
        setattr(server, name, value)
    clock.now_s += KEPT_S - 1
    assert keys.key("unknown", "EdDSA") is None
    assert keys.key("first", "EdDSA") is not None
    assert server.asked == 2
    clock.now_s += 1
    with pytest.raises(KeysUnavailableError) as unavailable:
        keys.key("first", "EdDSA")
    assert (server.asked, unavailable.value.retry_after_s) == (2, jwks.PAUSE_S - 1)
    clock.now_s += jwks.PAUSE_S
    with pytest.raises(KeysUnavailableError):
        keys.key("first", "EdDSA")
    assert server.asked == 3
    # It comes back by itself.
    server.status, server.headers, server.content = 200, {}, key_set(FIRST).encode()
    clock.now_s += jwks.PAUSE_S
    assert keys.key("first", "EdDSA") is not None


def test_a_redirect_is_not_followed_not_even_to_the_same_keys(server: KeyServer) -> None:
    with key_server(key_set(FIRST)) as other:
        server.status, server.headers = 302, {"Location": other.url}
        with pytest.raises(KeysUnavailableError, match="HTTP status 302"):
            fetch(server.url)
        assert other.asked == 0


def test_a_server_that_is_gone_lets_nobody_in(clock: Clock) -> None:
    with key_server(key_set(FIRST)) as server:
        keys = ProviderKeys(provider(jwks_url=server.url, keys_kept_s=KEPT_S), clock)
        assert keys.key("first", "EdDSA") is not None
    clock.now_s += KEPT_S
    with pytest.raises(KeysUnavailableError, match="ConnectionRefusedError"):
        keys.key("first", "EdDSA")


@pytest.mark.parametrize("slow", [{"waits_s": 3.0}, {"drips_s": 0.05}], ids=str)
def test_a_slow_server_is_waited_for_no_longer_than_that(server: KeyServer, slow: dict[str, float]) -> None:
    for name, value in slow.items():
        setattr(server, name, value)
    began = time.monotonic()
    # A byte now and then would keep a socket's own time limit from ever being reached.
    with pytest.raises(KeysUnavailableError, match=r"did not answer within 0\.4 s"):
        fetch(server.url, limit_s=0.4)
    assert time.monotonic() - began < 2.0


def test_an_endless_answer_is_cut(server: KeyServer) -> None:
    server.content = b"x" * 20_000_000
    with pytest.raises(KeysUnavailableError, match="more than 1000 bytes"):
        fetch(server.url, most_bytes=1000)


def test_those_who_ask_at_once_fetch_once_and_known_keys_wait_for_nobody(
    keys: ProviderKeys, server: KeyServer, clock: Clock
) -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(keys.key("first", "EdDSA"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (server.asked, len(found), None in found) == (1, 8, False)

    server.waits_s = 1.0
    clock.now_s += jwks.PAUSE_S
    slow = threading.Thread(target=lambda: keys.key("unknown", "EdDSA"))
    slow.start()
    while server.asked < 2:
        time.sleep(0.01)
    began = time.monotonic()
    assert keys.key("first", "EdDSA") is not None
    assert time.monotonic() - began < 0.5
    slow.join()


def test_a_key_set_in_a_file_is_asked_of_nobody(clock: Clock) -> None:
    keys = ProviderKeys(provider(key_set=key_set(FIRST)), clock)
    clock.now_s += 1e9
    assert keys.key("first", "EdDSA") is not None
    assert keys.key("second", "RS256") is None
    with pytest.raises(KeysUnavailableError, match="not valid JSON"):
        ProviderKeys(provider(key_set=""), clock).key("first", "EdDSA")


# --- TLS -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_server(server: KeyServer, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The key server behind TLS, with a certificate that only its own file vouches for."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(ec_key().public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(ec_key(), hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    private = ec_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    authority = tmp_path / "authority.pem"
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    with key_server(key_set(FIRST), certificate=file) as state:
        yield state.url, authority


def test_https_is_as_good_as_the_certificate(tls_server: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    url, authority = tls_server
    with pytest.raises(KeysUnavailableError, match=ssl.SSLCertVerificationError.__name__):
        fetch(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert json.loads(fetch(url)) == {"keys": [FIRST]}
    # The certificate is for another name of the same machine.
    with pytest.raises(KeysUnavailableError, match=ssl.SSLCertVerificationError.__name__):
        fetch(url.replace("127.0.0.1", "localhost"))


def test_a_server_that_does_not_speak_tls_is_not_asked_without(server: KeyServer) -> None:
    with pytest.raises(KeysUnavailableError, match="SSL"):
        fetch(server.url.replace("http://", "https://"))
    assert server.asked == 0


# --- Key sets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"},
        {**FIRST, "kid": "k", "use": "enc"},
        {**FIRST, "kid": "k", "key_ops": ["sign"]},
        {**FIRST, "kid": "k", "key_ops": "verify"},
        {**FIRST, "kid": "k", "d": "c2VjcmV0"},
        {**FIRST, "kid": ""},
        {**FIRST, "kid": "k" * 257},
        {**FIRST, "kid": 7},
        {**FIRST, "kid": ["k"]},
        {**FIRST, "kid": "k", "kty": ["OKP"]},
        "k",
        None,
        7,
    ],
)
def test_what_is_no_public_key_for_signatures_is_none_and_spoils_no_other(entry: object) -> None:
    found = KeySet.parsed(json.dumps({"keys": [entry, FIRST]}))
    assert set(found.keys) == {"first"}


def test_of_two_keys_of_one_name_neither_counts() -> None:
    found = KeySet.parsed(key_set(FIRST, {**SECOND, "kid": "first"}, SECOND))
    assert set(found.keys) == {"second"}


parts: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=50),
    st.binary(max_size=80).map(bytes.hex),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=300, deadline=None)
@given(
    base=st.sampled_from([FIRST, SECOND, jwk(ec_key(), "ec")]),
    changes=st.dictionaries(st.sampled_from(["n", "e", "x", "y", "crv", "kty", "alg"]), parts, max_size=3),
    algorithm=st.sampled_from(["RS256", "PS512", "ES256", "EdDSA"]),
)
def test_a_key_of_anything_is_a_key_or_none(base: dict[str, Any], changes: dict[str, Any], algorithm: str) -> None:
    found = KeySet.parsed(key_set({**base, **changes}))
    try:
        key = found.key(base["kid"], algorithm)
    except WrongKeyError:
        return
    assert key is None or key.algorithm_name == algorithm
