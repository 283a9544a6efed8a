"""How long the service waits for a client: for the head of a request, for its body, for its taking of an answer.

uvicorn waits for ever for all three and takes heads of any length and hosts of any text, so that a few hundred slow
connections would shut everybody else out. Owns one rule: time in which the service itself keeps a client waiting does
not count against it. Does not belong here: what a body may hold (``bodies``, ``ingest``).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from omgov_assets.interface_service.limits import Limits

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
NO_HOST = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")
_logger = logging.getLogger("omgov.patience")


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with limits on heads and on waiting.

    A head has ``head_s`` from its first byte to its end. While a body or an untaken answer is under way, a connection
    is looked at once in ``stalled_s``: by then enough of the body must have come and some of the answer been taken.
    """

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # The request that is being answered; ``cycle`` is the latest, which may have to wait for it.
        self._answered: RequestResponseCycle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        # Bytes of a body's transfer that hold none of the body: sizes and names of chunks, trailers.
        self._wrapping_bytes = 0
        self._window: asyncio.TimerHandle | None = None
        self._window_body_bytes = 0
        self._window_untaken_bytes = 0
        self._kept_waiting = False
        self._writing_changed = False
        self._leaves_after_body = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came: its first head is waited for from now on."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client went."""
        self._cancel_timers()
        if self._answered is not None and not self._answered.response_complete:
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._await_head()
        else:
            self._wrapping_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._kept_waiting |= self.flow.read_paused
        # What one packet brings beyond a whole head was counted along; a head that is not whole is too long as it is.
        if (self._head_bytes if self._in_head else self._wrapping_bytes) > self.limits.head_bytes:
            self._cut_off(TOO_LONG)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came; one after the body (a trailer) proves nothing and is not handed on as if it did."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.head_bytes:
            self._cut_off(TOO_LONG)
        elif not self._names_one_host():
            self._cut_off(NO_HOST)
        if self.transport.is_closing():
            return
        self._in_head, self._head_bytes, self._wrapping_bytes = False, 0, 0
        self._cancel_head_timer()
        # A look that is due already would leave this body less than its time.
        self._kept_waiting |= self._window is not None
        super().on_headers_complete()
        self.cycle.transport = _LateClosing(self.transport, self.close_after_body)
        self._watch()

    def on_body(self, body: bytes) -> None:
        """Some of a body came."""
        self._window_body_bytes += len(body)
        self._wrapping_bytes = 0
        if not self._in_head:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A body is whole; another head may follow."""
        if not self._in_head:
            super().on_message_complete()
            self._in_head = True
            if self._leaves_after_body:
                self.transport.close()

    def close_after_body(self) -> None:
        """Close a connection whose request is answered, but not in the middle of what the client still sends.

        Closed at once, it would be reset, and a proxy would call that a failure of ours and not hand the answer on.
        """
        if self._in_head or self._answered is not self.cycle:
            self.transport.close()
        else:
            self._leaves_after_body = True

    def on_response_complete(self) -> None:
        """An answer is written; that is not yet taken."""
        super().on_response_complete()
        self._writing_changed = True
        self._watch()

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self._writing_changed = True
        self._watch()

    def resume_writing(self) -> None:
        """The client takes again."""
        super().resume_writing()
        self._writing_changed = True

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP; that is said, but not in the middle of an answer to what came before it."""
        if self._is_answering():
            self._abort("no HTTP")
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def _unsupported_upgrade_warning(self) -> None:
        """Another protocol that was offered is left alone, as HTTP has it; that needs no word in the log."""

    def _names_one_host(self) -> bool:
        hosts = [value for name, value in self.headers if name == b"host"]
        if not hosts:
            return bool(self.parser.get_http_version() == "1.0")
        return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_s, self._head_is_late)

    def _head_is_late(self) -> None:
        if self.flow.read_paused:
            self._await_head()
        elif self._head_bytes:
            self._cut_off(TOO_SLOW)
        else:
            self._abort("sent nothing")

    def _watch(self) -> None:
        """Look after a body or an untaken answer, unless that is being done."""
        if self._window is None:
            self._window_body_bytes = 0
            self._window_untaken_bytes = self.transport.get_write_buffer_size()
            self._kept_waiting, self._writing_changed = self.flow.read_paused, False
            self._window = self.loop.call_later(self.limits.stalled_s, self._look)

    def _look(self) -> None:
        self._window = None
        untaken_bytes = self.transport.get_write_buffer_size()
        if not self._writing_changed and 0 < self._window_untaken_bytes <= untaken_bytes and not self._is_writing():
            self._abort("takes nothing of an answer")
        elif not self._in_head and self._is_late_with_body():
            self._cut_off(TOO_SLOW)
        elif not self._in_head or untaken_bytes:
            self._watch()

    def _is_writing(self) -> bool:
        """Whether the answer under way may have grown unseen, so that its size says nothing of what was taken."""
        return self._answered is not None and not self._answered.response_complete and not self.flow.write_paused

    def _is_late_with_body(self) -> bool:
        if self.cycle.response_complete:
            # It was answered without the rest, which must end some time.
            return True
        wanted_bytes = self.limits.stalled_s * self.limits.slowest_bytes_s
        return not self._kept_waiting and self._window_body_bytes < wanted_bytes

    def _is_answering(self) -> bool:
        """Whether what is written now would stand in or before an answer to an earlier request."""
        if self._answered is None:
            return False
        if self._answered is self.cycle and not self._in_head:
            return self._answered.response_started
        return not self._answered.response_complete

    def _cut_off(self, answer: bytes) -> None:
        if self._is_answering():
            self._abort("too slow or too long")
        elif not self.transport.is_closing():
            self._cancel_timers()
            _logger.info("client cut off", extra={"status": int(answer[9:12])})
            self.transport.write(answer)
            self.transport.close()
            # Closed is a connection only when the client has taken what was written.
            self._watch()

    def _abort(self, reason: str) -> None:
        self._cancel_timers()
        _logger.info("client cut off", extra={"reason": reason})
        self.transport.abort()

    def _cancel_timers(self) -> None:
        self._cancel_head_timer()
        if self._window is not None:
            self._window.cancel()
            self._window = None

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _LateClosing(asyncio.Transport):
    """What an answer is written to; closing it is left to the protocol."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        super().__init__()
        self._transport, self._close = transport, close

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._close()
