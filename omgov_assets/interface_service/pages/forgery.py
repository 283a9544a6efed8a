"""Proof that a form was filled in on a page of this service, by the one whose credential comes with it.

Three locks, each of which is enough: the cookie is SameSite=Strict; a browser says where a form comes from (Origin,
Sec-Fetch-Site); and each form carries a token that is made of the credential, which no other site knows. The last one
holds as well where a proxy adds the credential to whatever passes. Does not belong here: who asks (``signing_in``).
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit

from fastapi import Request

from omgov_assets.interface_service.asking import service_of
from omgov_assets.interface_service.problems import Problem

FIELD = "form_token"
_MEANING = b"omgov pages: form token, version 1"


def form_token(credential: str) -> str:
    """The token of the forms that are shown to whoever brought the credential; it does not tell the credential."""
    return hmac.new(credential.encode(), _MEANING, hashlib.sha256).hexdigest()


def require_own_form(request: Request, credential: str, given: str) -> None:
    """Raise ``Problem`` (403) where a form was not filled in on a page that this credential was shown."""
    require_same_origin(request)
    if not hmac.compare_digest(form_token(credential).encode(), given.encode()):
        raise _refused()


def require_same_origin(request: Request) -> None:
    """Raise ``Problem`` (403) where a browser says that the form is another site's."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site not in (None, "same-origin") or (origin is not None and not _is_own(request, origin)):
        raise _refused()


def _is_own(request: Request, origin: str) -> bool:
    public = service_of(request).public_url
    if public:
        parts = urlsplit(public)
        return origin.lower() == f"{parts.scheme}://{parts.netloc}".lower()
    # A proxy may have ended TLS: without a public URL the scheme that browsers see is not known here.
    scheme, _, host = origin.lower().partition("://")
    return scheme in ("http", "https") and host == request.headers.get("Host", "").lower() != ""


def _refused() -> Problem:
    return Problem(
        403,
        "not_of_this_page",
        "The form was not sent from a page that was shown to you now. Nothing was done: open the page again.",
    )
