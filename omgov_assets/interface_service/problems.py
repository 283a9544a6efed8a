"""Errors as answers: what went wrong, where, and what to do, in RFC 9457's form (``application/problem+json``).

Owns which status each error of the lower floors becomes, and that a failure nobody foresaw says nothing of its inside.
Delta Sharing has a form of its own (``sharing``), pages show a page (``pages``): both ask ``problem_of``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.authentication import TOLD, AuthenticationError
from omgov_assets.access_control.governed_query import AccessDeniedError, QueryError
from omgov_assets.access_control.link_keys import LinkKeyError
from omgov_assets.access_control.signed_links import LinkError
from omgov_assets.data_lake.durability import is_no_room
from omgov_assets.data_lake.lake import UnknownVersionError
from omgov_assets.data_lake.schema_evolution import SchemaMismatchError
from omgov_assets.exception_management.acts import FasterActError, UnknownCaseError
from omgov_assets.exception_management.lifecycle import IllegalActError
from omgov_assets.interface_service.unusable import tell_cause

MEDIA_TYPE = "application/problem+json"
# What the document of the interface says of it, and how it refers to that.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "pattern": "^[a-z0-9_]+$", "description": "What went wrong, for programs."},
        "detail": {"type": "string", "description": "What went wrong and what to do, for people."},
    },
    "required": ["type", "title", "status", "code", "detail"],
    "additionalProperties": False,
}
DOCUMENTED: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
NOT_THERE = "There is no such thing, or it is not for you."
RULES_UNREADABLE = "The access rules cannot be read at present; nothing is given. Try again, or see the log."

_logger = logging.getLogger("omgov.service")


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """An answer that is an error.

    Attributes:
        status: HTTP status.
        code: what went wrong, for programs: a word of letters and ``_``.
        detail: what went wrong and what to do, for people.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers = dict(headers or {})

    @property
    def content(self) -> dict[str, Any]:
        """The members of the answer's body: type, title, status, code, detail."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }


def not_there() -> Problem:
    """The one answer for what there is not and for what is not the principal's."""
    return Problem(404, "not_found", NOT_THERE)


def no_room(what: str, done: str) -> Problem:
    """The answer where the disk is full."""
    return Problem(507, "no_room", f"There is no room for {what}; nothing was {done}.", {"Retry-After": "60"})


def rules_unreadable() -> Problem:
    """The answer where the firm's rules cannot be read, whoever asks: nobody can be told from anybody else then."""
    return Problem(503, "rules_unreadable", RULES_UNREADABLE, {"Retry-After": "5"})


def problem_of(error: Exception) -> Problem:
    """The answer that an error becomes; one that nobody foresaw is logged by its kind and place and told as nothing."""
    tell_cause(error)
    if isinstance(error, Problem):
        return error
    for kind, problem in _KINDS:
        if isinstance(error, kind):
            return problem(error)
    if is_no_room(error):
        _logger.error("no_room", exc_info=error)
        return no_room("the answer", "given")
    _logger.error("unforeseen", exc_info=error)
    return Problem(500, "internal_error", "The service failed; its log says why, by the request's id.")


def answer_of(problem: Problem) -> Response:
    """A problem as an answer of ``application/problem+json``."""
    body = json.dumps(problem.content, ensure_ascii=False).encode()
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(body, problem.status, headers, MEDIA_TYPE)


def tell_problems(app: FastAPI) -> None:
    """Have every error of an app told as a problem."""
    # A path with a slash too many is one: Starlette would lead to whatever host the request names.
    app.router.redirect_slashes = False

    def told(_request: Request, error: Exception) -> Response:
        return answer_of(problem_of(error))

    kinds: tuple[type[Exception], ...] = (Problem, *(kind for kind, _ in _KINDS), Exception)
    for kind in kinds:
        app.add_exception_handler(kind, told)


def _not_authenticated(error: AuthenticationError) -> Problem:
    if error.retry_after_s is not None:
        wait = {"Retry-After": str(max(1, round(error.retry_after_s + 0.5)))}
        if error.reason == "rate_limited":
            return Problem(429, "too_many_requests", "The token is used too often; wait.", wait)
        return Problem(503, "identity_unavailable", "Who asks cannot be proved at present; try again.", wait)
    if error.reason == "store_unavailable":
        return Problem(503, "identity_unavailable", "Who asks cannot be proved at present; try again.")
    return Problem(401, "not_authenticated", f"{TOLD}: bring a token.", {"WWW-Authenticate": 'Bearer realm="omgov"'})


def _of_http(error: HTTPException) -> Problem:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    detail = {404: NOT_THERE, 405: "This cannot be done here."}.get(error.status_code, str(error.detail))
    return Problem(error.status_code, code, detail, error.headers)


def _said(error: RequestValidationError) -> str:
    """What is wrong with which part of a request; of what it holds, nothing is repeated."""
    parts = []
    for one in error.errors():
        where = ".".join(str(part) for part in one["loc"])
        parts.append(f"{where}: {one['msg']}")
    return "; ".join(parts[:10])


def _fixed(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Callable[[Any], Problem]:
    return lambda _error: Problem(status, code, detail, headers)


def _in_its_words(status: int, code: str) -> Callable[[Any], Problem]:
    """For errors whose text is meant for who asks."""
    return lambda error: Problem(status, code, str(error))


_NOT_ON_RECORD = _fixed(
    503,
    "not_on_record",
    "Nothing can be put on record at present, so that nothing is given.",
    {"Retry-After": "10"},
)
_KINDS: tuple[tuple[type[Exception], Callable[[Any], Problem]], ...] = (
    (AuthenticationError, _not_authenticated),
    (AccessDeniedError, lambda _error: not_there()),
    (QueryError, _in_its_words(400, "bad_question")),
    (UnknownVersionError, _fixed(404, "unknown_version", "The dataset has no such version that can be read.")),
    (UnknownCaseError, lambda _error: not_there()),
    (FasterActError, _in_its_words(412, "somebody_was_faster")),
    (IllegalActError, _in_its_words(409, "act_not_possible")),
    (AuditUnavailableError, _NOT_ON_RECORD),
    (LinkKeyError, _fixed(503, "links_unavailable", "Links cannot be signed at present; try again.")),
    (SchemaMismatchError, _fixed(503, "contract_mismatch", "The dataset was written by another contract.")),
    (LinkError, _in_its_words(409, "no_link")),
    # Nobody is told it; but it is no failure of the service.
    (ClientDisconnect, _fixed(400, "client_gone", "The client went before its request was whole.")),
    (RequestValidationError, lambda error: Problem(400, "bad_request", _said(error))),
    (HTTPException, _of_http),
)
