"""HEAD: what GET would say of an answer, without the answer (RFC 9110, 9.3.2). FastAPI's routes know nothing of it."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """An ASGI app that answers HEAD by what its GET says first; of a long answer nothing more is made.

    Args:
        app: the app.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        as_get = {**scope, "method": "GET"}

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


class _SaidError(Exception):
    """All that HEAD asks for is said."""
