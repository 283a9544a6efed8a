"""Clients that are slow on purpose are cut off; those that are slow, and those that we keep waiting, are not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from raw_http import Wire, wire
from service_process import port_of, served_in_thread

from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.app import create_app
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.service import Service

LIMITS = Limits(head_bytes=4096, head_s=0.4, body_bytes=1 << 20, stalled_s=0.5, slowest_bytes_s=1000, idle_s=2)
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /probe/body HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = 4_000_000


@pytest.fixture(autouse=True)
def nothing_fails_inside(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A client that goes, or has to go, is no failure of the service."""
    yield
    failures = [record for record in caplog.get_records("call") if record.levelname == "ERROR"]
    assert not failures


@dataclass(frozen=True)
class Impatient:
    """A server with little patience."""

    server: uvicorn.Server

    @property
    def port(self) -> int:
        return port_of(self.server)

    def is_rid_of_all_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.server.server_state.connections


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Impatient]:
    settings = Settings(tmp_path_factory.mktemp("impatient") / "home", project_root)
    routes = APIRouter()

    @routes.post("/probe/body")
    async def takes(request: Request, after_s: float = 0) -> int:
        await asyncio.sleep(after_s)
        return len(await request.body())

    @routes.get("/probe/large")
    def large(size: int) -> Response:
        return Response(b"a" * size)

    @routes.get("/probe/late")
    async def late(after_s: float) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            await asyncio.sleep(after_s)
            yield b"ended"

        return StreamingResponse(parts())

    app = create_app(lambda: Service.of_home(settings, LIMITS, environment={}), LIMITS)
    app.include_router(routes)
    with served_in_thread(app, LIMITS, send_buffer=4096) as server:
        yield Impatient(server)


def drip(one: Wire, data: Callable[[], bytes], pause_s: float, most_s: float) -> None:
    """Send bit by bit until the other side has enough, or time is over."""
    while one.open_s < most_s:
        try:
            one.socket.sendall(data())
        except (BrokenPipeError, ConnectionResetError):
            return
        time.sleep(pause_s)


@pytest.mark.parametrize(
    ("begins_with", "goes_on_with"),
    {
        "head": (GET, b"X-A: b\r\n"),
        "head of single bytes": (GET + b"X-A: ", b"a"),
        "empty lines": (b"", b"\r\n"),
        "body": (POST + b"Content-Length: 100000\r\n\r\n", b"a"),
        "body in chunks": (CHUNKED, b"1\r\na\r\n"),
        "names of chunks": (CHUNKED + b"1;", b"a" * 600),
        "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"X-A: " + b"b" * 600 + b"\r\n"),
        "one trailer": (CHUNKED + b"1\r\na\r\n0\r\nX-A: ", b"b" * 600),
        "body behind a request": (GET + b"\r\n" + POST + b"Content-Length: 100000\r\n\r\n", b"a"),
        "body of an answered request": (GET + b"Transfer-Encoding: chunked\r\n\r\n", b"c8\r\n" + b"a" * 200 + b"\r\n"),
    }.values(),
    ids=lambda given: given[:40].decode().strip() if isinstance(given, bytes) else None,
)
def test_whoever_sends_bit_by_bit_is_cut_off(impatient: Impatient, begins_with: bytes, goes_on_with: bytes) -> None:
    with wire(impatient.port) as one:
        one.send(begins_with)
        drip(one, lambda: goes_on_with, 0.05, most_s=4)
        assert one.open_s < 3
        assert impatient.is_rid_of_all_within(1)


@pytest.mark.parametrize("begins_with", [b"", GET, POST + b"Content-Length: 5\r\n\r\n", CHUNKED], ids=len)
def test_whoever_sends_nothing_more_is_cut_off(impatient: Impatient, begins_with: bytes) -> None:
    with wire(impatient.port) as one:
        one.send(begins_with)
        said = one.rest()
        assert one.open_s < 2
    assert said.startswith(b"HTTP/1.1 408 ") if begins_with else said == b""


def test_whoever_takes_nothing_of_an_answer_is_cut_off(impatient: Impatient) -> None:
    # The last waits in the service, all written and closed, until the client takes it.
    for size, close in ((LARGE, b""), (60_000, b""), (60_000, b"Connection: close\r\n")):
        with wire(impatient.port, receive_buffer=2048) as one:
            one.send(b"GET /probe/large?size=%d HTTP/1.1\r\nHost: a\r\n%b\r\n" % (size, close))
            time.sleep(0.1)
            assert impatient.server.server_state.connections
            assert impatient.is_rid_of_all_within(3)


def test_whoever_asks_on_without_taking_answers_is_cut_off(impatient: Impatient) -> None:
    with wire(impatient.port, receive_buffer=2048) as one:
        drip(one, lambda: b"GET /probe/large?size=3000 HTTP/1.1\r\nHost: a\r\n\r\n", 0.05, most_s=8)
        assert one.open_s < 7
        assert impatient.is_rid_of_all_within(1)


def test_nothing_is_written_into_a_running_answer(impatient: Impatient) -> None:
    for rest in (b"GET /", b"\x00\x01", b"GET /" + b"a" * 5000):
        with wire(impatient.port) as one:
            one.send(b"GET /probe/late?after_s=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.1)
            one.send(rest)
            said = one.rest()
        assert said.count(b"HTTP/1.1 ") == 1
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"ended" not in said


def test_an_answer_reaches_a_client_that_still_sends_and_then_the_connection_ends(impatient: Impatient) -> None:
    for head in (b"Content-Length: 6000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5b8d80\r\n"):
        with wire(impatient.port) as one:
            one.socket.sendall(POST + head + b"a" * 5_000_000)
            time.sleep(0.05)
            one.socket.sendall(b"a" * 1_000_000 + (b"\r\n0\r\n\r\n" if b"chunked" in head else b""))
            refused = one.answer()
            assert refused is not None
            assert (refused.status, refused.header("Connection")) == (413, "close")
            assert one.rest() == b""


def test_a_client_that_we_keep_waiting_is_not_cut_off(impatient: Impatient) -> None:
    with wire(impatient.port) as one:
        one.send(b"GET /probe/late?after_s=1.2 HTTP/1.1\r\nHost: a\r\n\r\n")
        late = one.answer()
        assert late is not None
        assert late.body == b"begunended"

        # A body that is read late; and one whose request waits for the answer to the one before it.
        body = b"a" * 500_000
        one.send(b"POST /probe/body?after_s=1.2 HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + body)
        read = one.answer()
        assert read is not None
        assert json.loads(read.body) == len(body)
        one.send(
            b"GET /probe/late?after_s=1.2 HTTP/1.1\r\nHost: a\r\n\r\n" + POST + b"Content-Length: 500000\r\n\r\n" + body
        )
        assert [answer and answer.status for answer in (one.answer(), one.answer())] == [200, 200]


def test_a_client_that_is_slow_but_goes_on_is_served(impatient: Impatient) -> None:
    with wire(impatient.port) as one:
        one.send(POST + b"Content-Length: 6000\r\n\r\n")
        for _ in range(15):
            one.send(b"a" * 400)
            time.sleep(0.1)
        sent = one.answer()
    assert sent is not None
    assert json.loads(sent.body) == 6000

    with wire(impatient.port, receive_buffer=2048) as one:
        one.send(b"GET /probe/large?size=40000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        taken = 0
        while more := one.socket.recv(2048):
            taken += len(more)
            time.sleep(0.05)
    assert taken > 40_000


def test_all_that_others_hold_open_leaves_room_once_they_are_cut_off(impatient: Impatient) -> None:
    opened = [wire(impatient.port) for _ in range(60)]
    for number, connection in enumerate(opened):
        one = connection.__enter__()
        one.send((GET, POST + b"Content-Length: 10\r\n\r\n", b"")[number % 3])
    try:
        assert impatient.is_rid_of_all_within(3)
    finally:
        for connection in opened:
            connection.__exit__(None, None, None)
