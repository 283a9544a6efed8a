"""Signing in: a token in a cookie, or one that a proxy adds to each request; and signing out.

The cookie holds the token itself: processes share no session, and who revokes the token has ended it everywhere with
the next request. Does not belong here: what proves who asks (``access_control.authentication``).
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request, Response

from omgov_assets.interface_service.asking import bearer, service_of
from omgov_assets.interface_service.problems import Problem

# Browsers keep no cookie of more than 4,096 bytes.
LONGEST_IN_COOKIE = 3_800
_MOST_FIELDS = 200


class SignInNeededError(Exception):
    """Nobody known asks for a page; ``ended`` where somebody known did until now."""

    def __init__(self, ended: bool) -> None:
        super().__init__("sign in")
        self.ended = ended


def credential_of(request: Request) -> tuple[str, bool]:
    """What a request brings to prove who asks, and whether it came in the cookie of the sign-in page."""
    brought = bearer(request)
    if brought:
        return brought, False
    return request.cookies.get(cookie_name(request), ""), True


def is_secure(request: Request) -> bool:
    """Whether browsers reach the service by TLS."""
    return request.url.scheme == "https" or service_of(request).public_url.lower().startswith("https:")


def cookie_name(request: Request) -> str:
    """With TLS the name says that no other host, and nothing without TLS, may have set the cookie."""
    if not is_secure(request):
        return "omgov"
    return "__Host-omgov" if root_of(request) == "" else "__Secure-omgov"


def root_of(request: Request) -> str:
    """Path below which the service lies, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def keep(request: Request, response: Response, credential: str) -> None:
    """Have the browser bring a credential from now on, until it is closed."""
    response.set_cookie(
        cookie_name(request),
        credential,
        path=root_of(request) or "/",
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )


def forget(request: Request, response: Response) -> None:
    """Have the browser forget the credential."""
    response.delete_cookie(
        cookie_name(request),
        path=root_of(request) or "/",
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, each with its first value.

    Raises:
        Problem: it is no form.
    """
    body = await request.body()
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Problem(415, "no_form", "Send a form of application/x-www-form-urlencoded. Nothing was done.")
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Problem(400, "no_form", "The form cannot be read. Nothing was done.") from error
    return {name: values[0] for name, values in fields.items()}


FieldsHere = Annotated[dict[str, str], Depends(fields_of)]
