"""An OIDC identity provider: real keys, tokens signed with them, and a web server with the keys that can misbehave."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from omgov_assets.model_management.access_rules import AccessRules
from omgov_assets.model_management.identity_providers import IdentityProvider

ISSUER, AUDIENCE = "https://id.example.com/firm", "omgov"
CLAIMS = {"roles": "groups", "clearance": "clearance", "purposes": "purposes"}
ALL_CLAIMS = {**CLAIMS, "support_groups": "teams", "systems": "systems"}


@lru_cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key of its own for each number."""
    return rsa.generate_private_key(65537, bits)


@lru_cache
def ec_key(curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    """The key of a curve."""
    curves = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
    return ec.generate_private_key(curves[curve])


@lru_cache
def ed_key() -> ed25519.Ed25519PrivateKey:
    """An Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    """The public part of a key as a JSON Web Key."""
    public = key.public_key()
    if isinstance(key, rsa.RSAPrivateKey):
        made = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        made = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        made = OKPAlgorithm.to_jwk(public, as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": kid, **more}


def key_set(*keys: Any) -> str:
    """A JSON Web Key Set."""
    return json.dumps({"keys": list(keys)})


def all_keys() -> dict[str, Any]:
    """Private keys by the name that the key set gives them."""
    curves = {f"ec-{curve}": ec_key(curve) for curve in ("P-256", "P-384", "P-521")}
    return {"rsa": rsa_key(), **curves, "ed": ed_key()}


def claims_at(now: datetime, **changes: Any) -> dict[str, Any]:
    """Claims of a token that is good now; a change to None takes one away."""
    issued_s = int(now.timestamp())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "E-1042",
        "iat": issued_s,
        "exp": issued_s + int(timedelta(minutes=30).total_seconds()),
        "groups": ["data_steward"],
        "clearance": 2,
        "purposes": ["quality", "reporting"],
    } | changes
    return {name: value for name, value in claims.items() if value is not None}


def signed(
    claims: Mapping[str, Any], algorithm: str = "RS256", kid: str = "rsa", key: Any = None, **header: Any
) -> str:
    """A token as a provider signs it."""
    return jwt.encode(dict(claims), key or all_keys()[kid], algorithm, {"kid": kid, **header})


def segment(content: Any) -> str:
    """A part of a token by hand; of bytes as they are."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_hand(header: Any, claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """A token with any header, any claims and any signature."""
    text = f"{segment(header)}.{segment(claims)}"
    return f"{text}.{segment(sign(text.encode()))}"


def hmac_of(secret: bytes) -> Callable[[bytes], bytes]:
    """Signs as HS256 does."""
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def provider(**changes: Any) -> IdentityProvider:
    """A provider that takes all kinds of keys, out of a file."""
    given: dict[str, Any] = {
        "name": "firm",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ("RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"),
        "jwks_file": "firm.jwks.json",
        "claims": CLAIMS,
        "key_set": key_set(*(jwk(key, kid) for kid, key in all_keys().items())),
    }
    given |= changes
    if "jwks_url" in changes:
        given |= {"jwks_file": None, "key_set": ""}
    return IdentityProvider.model_validate(given)


def trusting(rules: AccessRules, *providers: IdentityProvider) -> AccessRules:
    """The rules, with identity providers."""
    return changed(rules, oidc=providers or (provider(),))


def changed(rules: AccessRules, **changes: Any) -> AccessRules:
    """The rules with other fields; a copy would keep the policy hash of those that it was made of."""
    fields = {name: getattr(rules, name) for name in AccessRules.model_fields}
    return AccessRules.model_construct(**fields | changes)


@dataclass
class KeyServer:
    """What the server answers, and how often it was asked."""

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # Seconds before the answer, and between its bytes.
    waits_s: float = 0.0
    drips_s: float = 0.0
    asked: int = 0
    url: str = ""


@contextmanager
def key_server(content: str = "", certificate: Path | None = None) -> Iterator[KeyServer]:
    """A real web server for keys, by TLS with a certificate; gone when the context is left."""
    state = KeyServer(content.encode())

    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # whoever asked does not trust the certificate, or has gone

        def do_GET(self) -> None:
            state.asked += 1
            time.sleep(state.waits_s)
            try:
                self.send_response(state.status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for part in (state.content[i : i + 1] for i in range(len(state.content))) if state.drips_s else ():
                    self.wfile.write(part)
                    time.sleep(state.drips_s)
                if not state.drips_s:
                    self.wfile.write(state.content)
            except ConnectionError:
                return  # who asked has gone

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            # The handshake is the handler's, so that one that fails does not end the server.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        state.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}/keys"
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
