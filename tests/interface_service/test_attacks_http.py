"""What an attacker writes on a socket: requests that could be read in two ways are refused, and nothing is told on."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import pytest
import uvicorn
from fastapi import APIRouter, Body
from prometheus_client.parser import text_string_to_metric_families
from raw_http import Answer, exchange, wire
from service_process import Process, port_of, served_by_process, served_in_thread

from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.app import create_app
from omgov_assets.interface_service.asking import AskingHere
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.observing import JsonLines
from omgov_assets.interface_service.service import Service

SECRET = "x7-do-not-tell"  # noqa: S105 - nobody's
HEAD = b"GET /healthz HTTP/1.1\r\nHost: omgov.example.com\r\n"
LAST = b"Connection: close\r\n\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: omgov.example.com\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Process]:
    """`omgov serve` over an empty home."""
    with served_by_process(tmp_path_factory.mktemp("served") / "home", project_root) as process:
        yield process


@dataclass(frozen=True)
class Here:
    """The service in this process, with a route that takes a body, one that asks who asks, and one that fails."""

    server: uvicorn.Server
    service: Service
    settings: Settings

    def ask(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: omgov.example.com", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        with wire(port_of(self.server)) as one:
            one.send("\r\n".join([*lines, "", ""]).encode() + body)
            answer = one.answer(method)
        assert answer is not None
        return answer


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Here]:
    settings = Settings(tmp_path_factory.mktemp("here") / "home", project_root)
    routes = APIRouter()

    @routes.post("/probe/body")
    def takes(said: Annotated[dict[str, str], Body()]) -> dict[str, str]:
        return said

    @routes.get("/probe/who")
    def who(asking: AskingHere) -> dict[str, str]:
        return {"principal": asking.principal.name}

    @routes.get("/probe/fails")
    def fails() -> None:
        raise RuntimeError(SECRET)

    limits = Limits(body_bytes=10_000)
    app = create_app(lambda: Service.of_home(settings, limits, environment={}), limits)
    app.include_router(routes)
    with served_in_thread(app, limits) as server:
        yield Here(server, app.state.service, settings)


READ_IN_TWO_WAYS = {
    "two kinds of length": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two kinds of length, the other way": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "one length twice": HEAD + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of lengths": HEAD + b"Content-Length: 0, 5\r\n\r\n",
    "a length with a sign": HEAD + b"Content-Length: +0\r\n\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a hexadecimal length": HEAD + b"Content-Length: 0x5\r\n\r\n",
    "an endless length": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "no length": HEAD + b"Content-Length: \r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, but not last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "two codings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "an odd space in a coding": HEAD + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded header": HEAD + b"X-A: b\r\n c\r\n\r\n",
    "lines that end with LF": HEAD.replace(b"\r\n", b"\n") + b"\n",
    "a header that ends with LF": HEAD + b"X-A: b\nX-C: d\r\n\r\n",
    "a CR in a header": HEAD + b"X-A: b\rX-C: d\r\n\r\n",
    "a NUL in a header": HEAD + b"X-A: b\0c\r\n\r\n",
    "a header without a name": HEAD + b": c\r\n\r\n",
    "a name with a space": HEAD + b"X A: c\r\n\r\n",
    "the size of a chunk as in C": CHUNKED + b"0x1\r\na\r\n0\r\n\r\n",
    "the size of a chunk with a space": CHUNKED + b"1 \r\na\r\n0\r\n\r\n",
    "the size of a chunk ended by LF": CHUNKED + b"1\na\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "a chunk too large to count": CHUNKED + b"F" * 17 + b"\r\nabc\r\n0\r\n\r\n",
    "two hosts": HEAD + b"Host: other.example.com\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "a host that is none": b"GET /healthz HTTP/1.1\r\nHost: [\r\n\r\n",
    "a host with a path": b"GET /healthz HTTP/1.1\r\nHost: a/b?c\r\n\r\n",
    "a host with a user": b"GET /healthz HTTP/1.1\r\nHost: omgov.example.com@other.example.com\r\n\r\n",
    "a tunnel": b"CONNECT other.example.com:443 HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    "HTTP/2 without being asked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version there is not": b"GET /healthz HTTP/1.2\r\nHost: omgov.example.com\r\n\r\n",
    "a method there is not": b"JEFF /healthz HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    "a method in lower case": b"get /healthz HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    "a space in a path": b"GET /a b HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    "bytes beyond ASCII in a path": b"GET /h\xc3\xa9 HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    "a path without a slash": b"GET healthz HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100,
}


@pytest.mark.parametrize("request_bytes", READ_IN_TWO_WAYS.values(), ids=READ_IN_TWO_WAYS.keys())
def test_a_request_that_can_be_read_in_two_ways_is_refused_and_nothing_after_it_is_read(
    served: Process, request_bytes: bytes
) -> None:
    with wire(served.port) as one:
        one.send(request_bytes + SMUGGLED)
        said = one.rest()
    assert said.startswith(b"HTTP/1.1 400 ")
    assert said.count(b"HTTP/1.1 ") == 1


def test_requests_of_one_connection_are_answered_in_their_order(served: Process) -> None:
    body = b"Content-Length: 5\r\n\r\nhello"
    chunks = b"1;name=value\r\na\r\n0\r\nX-Trailer: a\r\n\r\n"
    wanted = [
        (HEAD + b"\r\n", 200),
        (POST + body, 405),
        (CHUNKED + chunks, 405),
        (SMUGGLED, 404),
        (HEAD + b"\r\n", 200),
    ]
    with wire(served.port) as one:
        one.send(b"".join(sent for sent, _ in wanted))
        answers = [one.answer() for _ in wanted]
    assert [answer and answer.status for answer in answers] == [status for _, status in wanted]


def test_an_offer_of_another_protocol_is_left_alone(served: Process) -> None:
    for offer in (b"websocket", b"h2c"):
        with wire(served.port) as one:
            one.send(HEAD + b"Connection: Upgrade\r\nUpgrade: " + offer + b"\r\n\r\n")
            answer = one.answer()
        assert answer is not None
        assert (answer.status, answer.header("Upgrade")) == (200, None)


def test_a_method_in_a_header_is_not_the_method(served: Process) -> None:
    for name in (b"X-HTTP-Method-Override", b"X-Method-Override", b"X-HTTP-Method"):
        said = exchange(served.port, POST + name + b": GET\r\nContent-Length: 0\r\n" + LAST)
        assert said.startswith(b"HTTP/1.1 405 ")


def test_a_request_id_is_taken_over_only_where_it_is_a_plain_word(served: Process) -> None:
    def told(given: bytes) -> str:
        with wire(served.port) as one:
            one.send(HEAD + b"X-Request-ID: " + given + b"\r\n\r\n")
            answer = one.answer()
        assert answer is not None
        return answer.header("X-Request-ID") or ""

    assert told(b"of-a.proxy_1") == "of-a.proxy_1"
    for odd in (
        b"short",
        b"a" * 65,
        b"<script>alert(1)</script>",
        b"abcdefgh%0d%0aSet-Cookie:a=b",
        b"abcdefgh\xff",
        b'"},{"a":"',
    ):
        assert re.fullmatch(r"[0-9a-f]{16}", told(odd))


def test_nothing_of_a_path_becomes_a_header_or_leads_elsewhere(served: Process) -> None:
    for path in (
        "/a%0d%0aSet-Cookie:%20a=b",
        "//other.example.com/%2e%2e",
        "/healthz/",
        "/%5cother.example.com",
        "/..%2f..%2fetc/passwd",
    ):
        with wire(served.port) as one:
            one.send(f"GET {path} HTTP/1.1\r\nHost: other.example.com\r\n\r\n".encode())
            answer = one.answer()
        assert answer is not None
        assert answer.status == 404
        names = {name for name, _ in answer.headers}
        assert not names & {"location", "set-cookie"}
        assert "other.example.com" not in str(answer.headers)
        assert b"other.example.com" not in answer.body


def test_heads_are_of_limited_length(served: Process) -> None:
    for head in (
        HEAD + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
        HEAD + b"X-A: " + b"a" * 40_000,
        HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(5_000)) + b"\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: omgov.example.com\r\n\r\n",
    ):
        with wire(served.port) as one:
            one.send(head)
            answer = one.answer()
            assert answer is None or answer.status == 431
            assert one.rest() == b""
    assert exchange(served.port, HEAD + b"X-A: " + b"a" * 20_000 + b"\r\n" + LAST).startswith(b"HTTP/1.1 200 ")


def test_bodies_are_of_limited_length_announced_or_not(here: Here) -> None:
    small = json.dumps({"a": "b" * 9_000}).encode()
    large = json.dumps({"a": "b" * 11_000}).encode()
    head = b"POST /probe/body HTTP/1.1\r\nHost: omgov.example.com\r\nContent-Type: application/json\r\n"

    def status(rest: bytes) -> int | None:
        with wire(port_of(here.server)) as one:
            one.send(head + rest)
            answer = one.answer()
        return answer and answer.status

    def chunked(body: bytes) -> bytes:
        return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    assert status(b"Content-Length: %d\r\n\r\n" % len(small) + small) == 200
    assert status(chunked(small)) == 200
    assert status(b"Content-Length: %d\r\n\r\n" % len(large)) == 413
    assert status(b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(large)) == 413
    assert status(chunked(large)) == 413


def test_only_the_header_proves_who_asks_and_every_failure_sounds_the_same(here: Here) -> None:
    store, now = here.service.tokens, here.service.clock()
    token, _ = store.create("steward", ["read:*"], now, timedelta(days=1))
    revoked, known = store.create("steward", ["read:*"], now, timedelta(days=1))
    store.revoke(known.token_id, now)
    assert here.ask("/probe/who", f"Authorization: Bearer {token}").status == 200

    answers = {
        what: here.ask(*request)
        for what, request in {
            "nothing": ("/probe/who",),
            "no token": ("/probe/who", "Authorization: Bearer x"),
            "another scheme": ("/probe/who", f"Authorization: Basic {token}"),
            "revoked": ("/probe/who", f"Authorization: Bearer {revoked}"),
            "another secret": ("/probe/who", f"Authorization: Bearer {token[:-1]}{'a' if token[-1] != 'a' else 'b'}"),
            "in the query": (f"/probe/who?access_token={token}&token={token}",),
            "in a cookie": ("/probe/who", f"Cookie: token={token}"),
            "too long": ("/probe/who", "Authorization: Bearer " + "a" * 20_000),
            "unsigned": ("/probe/who", "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdGV3YXJkIn0."),
        }.items()
    }
    assert {what: answer.status for what, answer in answers.items()} == dict.fromkeys(answers, 401)
    assert {answer.header("WWW-Authenticate") for answer in answers.values()} == {'Bearer realm="omgov"'}
    assert len({answer.body for answer in answers.values()}) == 1
    assert {answer.header("Cache-Control") for answer in answers.values()} == {"no-store"}


def test_failed_proofs_do_not_fill_the_audit(here: Here) -> None:
    def recorded() -> list[str]:
        with open_log(Lake(here.settings.lake, here.settings.dataset_contracts), here.settings.audit) as log:
            return [entry.fields["reason"] for entry in log.entries()]

    before, began = len(recorded()), time.monotonic()
    for number in range(200):
        assert here.ask(f"/probe/who?{number}", "Authorization: Bearer x").status == 401
    flood = recorded()[before:]
    most = here.service.failures._burst + 5 * (time.monotonic() - began) + 1
    assert 1 <= len(flood) <= most < 200
    time.sleep(0.25)
    assert here.ask("/probe/who").status == 401
    assert re.search(r"; \d+ more before it were not recorded one by one", "".join(recorded()[-1:]))


def test_a_failure_tells_its_request_id_and_nothing_of_its_inside(here: Here) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonLines())
    logging.getLogger("omgov").addHandler(handler)
    try:
        answer = here.ask("/probe/fails", "X-Request-ID: of-the-proxy")
        # The connection and the service go on.
        assert here.ask("/healthz").status == 200
    finally:
        logging.getLogger("omgov").removeHandler(handler)
    assert (answer.status, answer.header("X-Request-ID")) == (500, "of-the-proxy")
    assert json.loads(answer.body)["code"] == "internal_error"
    (line,) = (one for one in map(json.loads, log.getvalue().splitlines()) if one["message"] == "unforeseen")
    assert (line["request_id"], line["error"]) == ("of-the-proxy", "RuntimeError")
    assert SECRET not in answer.body.decode() + log.getvalue()


def test_health_tells_nothing_of_the_firm(served: Process, tmp_path: Path) -> None:
    assert exchange(served.port, HEAD + LAST).endswith(b'\r\n\r\n{"status":"ok"}')
    ready = exchange(served.port, HEAD.replace(b"healthz", b"readyz") + LAST)
    assert json.loads(ready.partition(b"\r\n\r\n")[2]) == {
        "status": "ready",
        "audit": "ok",
        "tokens": "ok",
        "shares": "ok",
        "link_keys": "ok",
        "rules": "ok",
    }

    settings = Settings(tmp_path / "home", tmp_path / "no-project")
    app = create_app(lambda: Service.of_home(settings, environment={}))
    with served_in_thread(app, Limits()) as server:
        closed = exchange(port_of(server), HEAD.replace(b"healthz", b"readyz") + LAST)
    assert closed.startswith(b"HTTP/1.1 503 ")
    assert json.loads(closed.partition(b"\r\n\r\n")[2])["rules"] == "not readable: nobody is let in"
    assert str(tmp_path).encode() not in closed


def test_log_and_figures_hold_nothing_that_was_asked_for(served: Process) -> None:
    odd = [
        f"GET /{SECRET}?q={SECRET}&token={SECRET} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {SECRET}\r\n",
        f"GET /healthz?q={SECRET} HTTP/1.1\r\nHost: a\r\nX-Request-ID: {SECRET}-\r\nReferer: {SECRET}\r\n",
        f"GET /a%0a%7b%22level%22%3a%22{SECRET}%22%7d HTTP/1.1\r\nHost: a\r\nUser-Agent: {SECRET}\r\n",
        f"PROPFIND /{SECRET} HTTP/1.1\r\nHost: {SECRET}\r\nCookie: {SECRET}\r\n",
        f"GET / HTTP/1.1\r\nHost: a\r\n{SECRET} {SECRET}\r\n",
    ]
    for request in odd:
        exchange(served.port, request.encode() + LAST)
    for number in range(50):
        exchange(served.port, b"GET /%d HTTP/1.1\r\nHost: a\r\n" % number + LAST)

    figures = exchange(served.port, HEAD.replace(b"healthz", b"metrics") + LAST).decode()
    assert SECRET not in figures
    families = text_string_to_metric_families(figures.partition("\r\n\r\n")[2])
    labels = {value for family in families for sample in family.samples for value in sample.labels.values()}
    assert len(labels) < 100

    lines = served.lines()
    assert {line["logger"] for line in lines} <= {"uvicorn.error", "omgov.service", "omgov.requests", "omgov.patience"}
    # A request's identifier is the one thing that is taken over.
    told = [{name: value for name, value in line.items() if name != "request_id"} for line in lines]
    assert SECRET not in json.dumps(told)
    assert sum(line["message"] == "request" and line["status"] == 404 for line in lines) >= 50
