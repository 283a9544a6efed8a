"""HEAD: what GET would say of an answer, without the answer (RFC 9110, 9.3.2). FastAPI's routes know nothing of it.

So what a refused method is told to take instead (``Allow``) is said here as well.
"""

from __future__ import annotations

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class HeadRequests:
    """An ASGI app that answers HEAD by what its GET says first; of a long answer nothing more is made.

    Routes that know HEAD themselves are left to it. A 405 allows HEAD where it is answered, and the methods of all
    routes of the path, of which Starlette names those of the first one alone.

    Args:
        app: the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # As it came: what answers it writes into the other.
        came = dict(scope)

        async def allowing(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                others = [header for header in message.get("headers", []) if header[0].lower() != b"allow"]
                message["headers"] = [*others, (b"allow", ", ".join(_allowed(came)).encode())]
            await send(message)

        if scope["method"] != "HEAD" or _is_known(came, "HEAD"):
            await self._app(scope, receive, allowing)
            return
        # A range is asked for by GET alone (14.2).
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        as_get = {**scope, "method": "GET", "headers": headers}

        async def sending(message: Message) -> None:
            if message["type"] != "http.response.body":
                await allowing(message)
                return
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _SaidError

        try:
            await self._app(as_get, receive, sending)
        except _SaidError:
            pass
        finally:
            # Who observes requests names them by their route.
            if "route" in as_get:
                scope["route"] = as_get["route"]


def _is_known(scope: Scope, method: str) -> bool:
    asked = {**scope, "method": method}
    return any(route.matches(asked)[0] is Match.FULL for route in scope["app"].routes)


def _allowed(scope: Scope) -> list[str]:
    """Methods that are answered at the path of a request."""
    known = {method for method in _METHODS if _is_known(scope, method)}
    return sorted(known | ({"HEAD"} if "GET" in known else set()))


class _SaidError(Exception):
    """All that HEAD asks for is said."""
