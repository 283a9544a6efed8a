"""Bodies of requests that push no data are small: larger ones are refused, announced or not, before they are held.

Does not belong here: what is pushed, which has caps of its own (``ingest``).
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from omgov_assets.interface_service.problems import Problem, answer_of

_REFUSAL = Problem(
    413,
    "content_too_large",
    "The body is larger than this takes; data is pushed to /v1/ingest.",
    {"Connection": "close"},
)


class SmallBodies:
    """An ASGI app that takes no large bodies but on the paths that see to it themselves.

    Args:
        app: the app.
        body_bytes: what a body may have.
        besides: beginnings of those paths.
    """

    def __init__(self, app: ASGIApp, body_bytes: int, besides: tuple[str, ...]) -> None:
        self._app, self._body_bytes, self._besides = app, body_bytes, besides

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse its body."""
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope["type"] != "http" or path.startswith(self._besides):
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > self._body_bytes:
            await answer_of(_REFUSAL)(scope, receive, send)
            return
        taken, is_too_large, has_begun = 0, False, False

        async def receiving() -> Message:
            nonlocal taken, is_too_large
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._body_bytes:
                is_too_large = True
                raise _TooLargeError
            return message

        async def sending(message: Message) -> None:
            nonlocal has_begun
            # What the app makes of a body that broke off is nobody's concern.
            if not is_too_large or has_begun:
                has_begun = True
                await send(message)

        try:
            await self._app(scope, receiving, sending)
        except _TooLargeError:
            if has_begun:
                raise
        if is_too_large and not has_begun:
            await answer_of(_REFUSAL)(scope, receive, send)


class _TooLargeError(Exception):
    """A body that was not announced grew too large."""
