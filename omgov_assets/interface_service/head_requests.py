"""HEAD: what GET would say of an answer, without the answer (RFC 9110, 9.3.2). FastAPI's routes know nothing of it."""

from __future__ import annotations

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """An ASGI app that answers HEAD by what its GET says first; of a long answer nothing more is made.

    Routes that know HEAD themselves are left to it.

    Args:
        app: the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or _is_known(scope):
            await self._app(scope, receive, send)
            return
        # A range is asked for by GET alone (14.2).
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        as_get = {**scope, "method": "GET", "headers": headers}

        async def sending(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
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


def _is_known(scope: Scope) -> bool:
    return any(route.matches(scope)[0] is Match.FULL for route in scope["app"].routes)


class _SaidError(Exception):
    """All that HEAD asks for is said."""
