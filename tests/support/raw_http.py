"""HTTP as an attacker writes it: bytes on a socket, whatever they are, and what comes back."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import parse_headers
from io import BufferedReader


@dataclass(frozen=True)
class Answer:
    """An answer: status, headers as they came (names in lower case), body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that came once; None where it did not come."""
        values = [value for one, value in self.headers if one == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None


@dataclass
class Wire:
    """A connection.

    Attributes:
        socket: what bytes are sent to.
        coming: bytes that come; nothing but this reads them.
        opened_at: when it was opened (seconds of a clock that nobody sets).
    """

    socket: socket.socket
    coming: BufferedReader
    opened_at: float = field(default_factory=time.monotonic)

    def send(self, data: bytes) -> None:
        """Send bytes; those that the other side no longer takes are lost."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def answer(self, method: str = "GET") -> Answer | None:
        """The next answer; None where the connection was closed before its end."""
        try:
            status = self.coming.readline()
            if not status:
                return None
            headers = [(name.lower(), value) for name, value in parse_headers(self.coming).items()]
            named = dict(headers)
            if method == "HEAD":
                body = b""
            elif "content-length" in named:
                body = self.coming.read(int(named["content-length"]))
            elif named.get("transfer-encoding") == "chunked":
                body = b"".join(self._chunks())
            else:
                body = self.coming.read()
        except ConnectionError:
            return None
        return Answer(int(status.split()[1]), headers, body)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.coming.readline(), 16):
            yield self.coming.read(size)
            self.coming.readline()
        self.coming.readline()

    def rest(self) -> bytes:
        """All bytes until the other side closes."""
        found = bytearray()
        try:
            while more := self.coming.read1():
                found += more
        except ConnectionResetError:
            pass
        return bytes(found)

    @property
    def open_s(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self.opened_at


@contextmanager
def wire(port: int, timeout_s: float = 10.0, receive_buffer: int | None = None) -> Iterator[Wire]:
    """A connection to a port of this machine; ``TimeoutError`` where nothing comes for ``timeout_s``."""
    with socket.socket() as connection:
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(timeout_s)
        connection.connect(("127.0.0.1", port))
        with connection.makefile("rb") as coming:
            yield Wire(connection, coming)


def exchange(port: int, data: bytes, timeout_s: float = 10.0) -> bytes:
    """What comes back for bytes until the other side closes; ``TimeoutError`` where it does not."""
    with wire(port, timeout_s) as one:
        one.send(data)
        return one.rest()
