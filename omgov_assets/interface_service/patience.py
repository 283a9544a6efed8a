"""How long the service waits for a client: for the head of a request, for its body, for its taking of an answer.

uvicorn waits for ever for all three and takes heads of any length, so that a few hundred slow connections would shut
everybody else out. Does not belong here: what a body may hold (``ingest``).
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from omgov_assets.interface_service.limits import Limits

TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with limits on heads and on waiting."""

    limits: ClassVar[Limits] = Limits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came: its first head is waited for from now on."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client went."""
        self._cancel_timers()
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
            self._await_body()
        super().data_received(data)
        # What one packet brings beyond a whole head was counted along; a head that is not whole is too long as it is.
        if self._in_head and self._head_bytes > self.limits.head_bytes and not self.transport.is_closing():
            self._cut_off(TOO_LONG)

    def on_headers_complete(self) -> None:
        """A head is whole."""
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._in_head, self._head_bytes = False, 0
        self._cancel(head=True)
        if size > self.limits.head_bytes:
            self._cut_off(TOO_LONG)
            return
        super().on_headers_complete()
        self._await_body()

    def on_message_complete(self) -> None:
        """A body is whole; another head may follow."""
        super().on_message_complete()
        self._cancel(stall=True)
        self._in_head = True

    def on_response_complete(self) -> None:
        """An answer is out."""
        super().on_response_complete()
        self._cancel(stall=True)

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        super().pause_writing()
        self._watch_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client takes again."""
        super().resume_writing()
        self._cancel(stall=True)

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.limits.head_s, self._cut_off, TOO_SLOW)

    def _await_body(self) -> None:
        """Give a body that is not whole the usual time for its next bytes; not where we are the ones who wait."""
        self._cancel(stall=True)
        if not self.transport.is_closing():
            self._stall_timer = self.loop.call_later(self.limits.stalled_s, self._body_stalled)

    def _body_stalled(self) -> None:
        self._stall_timer = None
        if self.flow.read_paused or self.flow.write_paused:
            # Not the client's fault: nobody has read what it sent yet.
            self._await_body()
        elif self.cycle.response_started:
            self.transport.abort()
        else:
            self._cut_off(TOO_SLOW)

    def _watch_reader(self, waiting_bytes: int) -> None:
        self._cancel(stall=True)
        self._stall_timer = self.loop.call_later(self.limits.stalled_s, self._reader_stalled, waiting_bytes)

    def _reader_stalled(self, waited_bytes: int) -> None:
        self._stall_timer = None
        waiting_bytes = self.transport.get_write_buffer_size()
        if waiting_bytes >= waited_bytes:
            self.transport.abort()
        else:
            self._watch_reader(waiting_bytes)

    def _cut_off(self, answer: bytes) -> None:
        self._cancel_timers()
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _cancel_timers(self) -> None:
        self._cancel(head=True, stall=True)

    def _cancel(self, head: bool = False, stall: bool = False) -> None:
        if head and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        if stall and self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
