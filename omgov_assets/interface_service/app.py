"""The service as an ASGI app: its doors put together, whatever process it runs in.

Does not belong here: what a door answers (its package), processes and sockets (``processes``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware

from omgov_assets.interface_service import health
from omgov_assets.interface_service.bodies import SmallBodies
from omgov_assets.interface_service.head_requests import HeadRequests
from omgov_assets.interface_service.ingest import routes as ingest
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.observing import Observed
from omgov_assets.interface_service.pages import routes as pages
from omgov_assets.interface_service.problems import SCHEMA, answer_of, problem_of, tell_problems
from omgov_assets.interface_service.rest import routes as rest
from omgov_assets.interface_service.service import Service
from omgov_assets.interface_service.sharing import routes as sharing

# Paths that take large bodies and count them themselves.
TAKES_DATA = ("/v1/ingest/",)


class _Documented(FastAPI):
    """An app whose document says what a problem is; routes refer to it, none of them makes it."""

    def openapi(self) -> dict[str, Any]:
        """The document of the interface."""
        document = super().openapi()
        document["components"]["schemas"]["Problem"] = SCHEMA
        return document


def _not_found(request: Request, error: Exception) -> Response:
    """What an address that leads nowhere answers: a page to a browser, a problem to a program."""
    return pages.not_found_page(request) or answer_of(problem_of(error))


def create_app(open_service: Callable[[], AbstractContextManager[Service]], limits: Limits | None = None) -> FastAPI:
    """The app; it opens its service when it starts and closes it when it ends.

    Args:
        open_service: such as ``Service.of_home`` of a home.
        limits: what a client may ask for.
    """
    limits = limits or Limits()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # Each may hold a DuckDB connection: as many as there can be of those, not as there can be clients.
        anyio.to_thread.current_default_thread_limiter().total_tokens = limits.threads
        with open_service() as service:
            app.state.service = service
            yield

    app = _Documented(
        title="omgov",
        summary="Governed operations data of a securities firm",
        version=version("omgov"),
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(Observed),
            Middleware(HeadRequests),
            Middleware(SmallBodies, body_bytes=limits.body_bytes, besides=TAKES_DATA),
        ],
    )
    tell_problems(app)
    app.add_exception_handler(404, _not_found)
    for router in (health.router, rest.router, sharing.router, ingest.router, pages.router):
        app.include_router(router)
    return app
