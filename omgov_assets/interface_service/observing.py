"""What is seen of the service: a JSON line a request, and figures for Prometheus.

Owns one rule: neither holds what was asked for beyond the route and the principal; no query, no token, no row. Does not
belong here: the record of decisions (``access_control``).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from omgov_assets.interface_service.problems import Problem, answer_of, problem_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID_HEADER = "X-Request-ID"
PROCESSES_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_REQUESTS = Counter("omgov_requests", "Requests answered.", ["method", "route", "status"])
_SECONDS = Histogram(
    "omgov_request_seconds",
    "Seconds from a request's head to the end of its answer.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
_BYTES = Counter("omgov_answered_bytes", "Bytes of answers' bodies.", ["route"])
_RUNNING = Gauge("omgov_requests_running", "Requests being answered.", multiprocess_mode="livesum")

# What a route does not say otherwise: an answer is for who asked and is what it says it is.
_UNLESS_SAID = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_STOPPING = Problem(
    503, "stopping", "The service was told to stop; send it again.", {"Connection": "close", "Retry-After": "5"}
)
# For whatever is logged while a request is answered, in its task and in the threads that work for it.
_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_logger = logging.getLogger("omgov.requests")


class Observed:
    """An ASGI app whose requests are counted and logged, each under an identifier.

    A proxy's identifier is taken over where it is a plain word. An error that nothing inside has answered is answered
    here: further out, the answer would go without the identifier that its text names. So is a request that takes longer
    than the service has left after it was told to stop: that is no failure. What a route says nothing of is kept by no
    cache.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(REQUEST_ID_HEADER.lower().encode(), b"").decode("latin-1")
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        # Shared by whatever wraps the app, so that routes can leave the principal here.
        scope.setdefault("state", {})["request_id"] = request_id
        _request_id.set(request_id)
        status, sent_bytes, began = 0, 0, time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message.get("headers", []), (REQUEST_ID_HEADER.encode(), request_id.encode())]
                named = {name.lower() for name, _ in headers}
                message["headers"] = headers + [header for header in _UNLESS_SAID if header[0] not in named]
            elif message["type"] == "http.response.body":
                sent_bytes += len(message.get("body", b""))
            await send(message)

        _RUNNING.inc()
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            if status:
                raise
            await answer_of(problem_of(error))(scope, receive, sending)
        except asyncio.CancelledError:
            # Nothing else cancels a request than the service that stops. What has begun breaks off.
            if not status:
                await answer_of(_STOPPING)(scope, receive, sending)
        finally:
            _RUNNING.dec()
            _count(scope, status or 500, sent_bytes, time.perf_counter() - began)


def _count(scope: Scope, status: int, sent_bytes: int, seconds: float) -> None:
    # The route as it was declared: what was asked for is in neither log nor figures, and labels stay few.
    route = getattr(scope.get("route"), "path", "none")
    _REQUESTS.labels(scope["method"], route, status).inc()
    _SECONDS.labels(route).observe(seconds)
    _BYTES.labels(route).inc(sent_bytes)
    if route in ("/healthz", "/readyz", "/metrics") and status < 500:
        return
    _logger.info(
        "request",
        extra={
            "principal": scope["state"].get("principal"),
            "method": scope["method"],
            "route": route,
            "status": status,
            "bytes": sent_bytes,
            "ms": round(seconds * 1000, 1),
        },
    )


def figures() -> tuple[bytes, str]:
    """Figures of all processes in Prometheus' text form, and its media type."""
    registry = REGISTRY
    if os.environ.get(PROCESSES_FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST


class JsonLines(logging.Formatter):
    """A log line as one JSON object: at, level, logger, message, and what was said beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request_id := _request_id.get()) is not None:
            line["request_id"] = request_id
        line |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info is not None and record.exc_info[0] is not None:
            line |= _place_of(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


def log_as_json(level: str = "INFO") -> None:
    """Have the process write its log as JSON lines on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("omgov", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    # Its lines repeat whole addresses, queries among them.
    logging.getLogger("uvicorn.access").handlers = []
    logging.getLogger("uvicorn.access").propagate = False


def _place_of(error: BaseException | None) -> dict[str, object]:
    """Kind and places of an error; its text may repeat values of rows."""
    places = []
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        places.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "places": places[-12:]}


_USUAL = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {
    "message",
    "asctime",
    "color_message",
    "taskName",
}
