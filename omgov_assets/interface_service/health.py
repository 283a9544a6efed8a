"""Whether the service lives, and whether it can give anything: for supervisors, proxies and Prometheus.

They need no proof of who asks and tell nothing of the firm; a proxy keeps ``/metrics`` to itself (``deploy/``).
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.tokens import TokenError
from omgov_assets.interface_service.asking import service_of
from omgov_assets.interface_service.observing import figures

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process answers")
async def healthz() -> dict[str, str]:
    """200 as long as the process answers."""
    # In no thread of its own: they may all be at work for long, which is no reason to be restarted.
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Whether data can be given",
    responses={503: {"description": "Nothing can be given; says which part is not ready."}},
)
def readyz(request: Request) -> JSONResponse:
    """200 where decisions can be put on record, tokens be proved and the firm's rules be read; else 503."""
    service = service_of(request)
    parts = {"audit": "ok", "tokens": "ok", "rules": "ok"}
    try:
        service.audit.require_writable()
    except AuditUnavailableError:
        parts["audit"] = "not writable"
    try:
        service.tokens.find("none")
    except TokenError:
        parts["tokens"] = "not readable"
    if service.rules().door.closed:
        parts["rules"] = "not readable: nobody is let in"
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"status": "ready" if ready else "not ready", **parts}, 200 if ready else 503)


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics() -> Response:
    """Requests, seconds and bytes by route, in Prometheus' text form."""
    content, media_type = figures()
    return Response(content, media_type=media_type)
