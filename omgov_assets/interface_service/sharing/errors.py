"""Errors as Delta Sharing tells them: ``{"errorCode", "message"}``, and nothing permanent with a 5xx.

Clients ask ten times again after a 5xx, so that only what passes by itself may be one. Does not belong here: which
status an error is (``problems``).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from omgov_assets.interface_service.problems import Problem, problem_of
from omgov_assets.interface_service.sharing.shares import ShareError
from omgov_assets.interface_service.unusable import UNUSABLE

# Names of errors that clients of Delta Sharing know.
_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    413: "INVALID_PARAMETER_VALUE",
    416: "INVALID_PARAMETER_VALUE",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


# What the document of the interface says of them.
DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "An error of Delta Sharing.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"errorCode": {"type": "string"}, "message": {"type": "string"}},
                    "required": ["errorCode", "message"],
                }
            }
        },
    }
}


def sharing_answer(error: Exception) -> Response:
    """An error as an answer of the protocol."""
    problem = _problem(error)
    content = {"errorCode": _CODES.get(problem.status, problem.code.upper()), "message": problem.detail}
    headers = {"Cache-Control": "no-store", **problem.headers}
    return JSONResponse(content, problem.status, headers, "application/json; charset=utf-8")


def _problem(error: Exception) -> Problem:
    if isinstance(error, ShareError):
        UNUSABLE.tell("shares", error)
        return Problem(503, "shares_unavailable", "What is shared cannot be read at present; try again.")
    problem = problem_of(error)
    if problem.code == "contract_mismatch":
        # It does not pass by itself.
        return Problem(409, problem.code, problem.detail)
    return problem


class SharingRoute(APIRoute):
    """A route whose errors are told as Delta Sharing does, those of proving who asks among them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler."""
        answered = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await answered(request)
            except Exception as error:
                return sharing_answer(error)

        return handler
