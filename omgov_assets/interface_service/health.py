"""Whether the service lives, and whether it can give anything: for supervisors, proxies and Prometheus.

They need no proof of who asks and tell nothing of the firm; a proxy keeps ``/metrics`` to itself (``deploy/``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from omgov_assets.access_control.audit_log import AuditUnavailableError
from omgov_assets.access_control.link_keys import KEY_VARIABLE, LinkKeyError, LinkKeys
from omgov_assets.access_control.tokens import TokenError, TokenStore
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.asking import service_of
from omgov_assets.interface_service.observing import figures
from omgov_assets.interface_service.service import Service
from omgov_assets.interface_service.sharing.shares import ShareError, ShareStore
from omgov_assets.interface_service.unusable import UNUSABLE

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
    """200 where decisions can be put on record, tokens be proved, links be signed and rules be read; else 503.

    Which store cannot be used, and why, is in the log; who asks learns only which.
    """
    service = service_of(request)
    parts = {
        "audit": _state("audit", "not writable", service.audit.require_writable),
        "tokens": _state("tokens", "not readable", lambda: _open_tokens(service)),
        "shares": _state("shares", "not readable", lambda: _open_shares(service.settings)),
        "link_keys": _state("link keys", "not readable", lambda: _open_link_keys(service)),
        "rules": "not readable: nobody is let in" if service.rules().door.closed else "ok",
    }
    ready = all(state == "ok" for state in parts.values())
    return JSONResponse({"status": "ready" if ready else "not ready", **parts}, 200 if ready else 503)


def _state(store: str, otherwise: str, look: Callable[[], object]) -> str:
    try:
        look()
    except (AuditUnavailableError, TokenError, ShareError, LinkKeyError, OSError) as error:
        UNUSABLE.tell(store, error)
        return otherwise
    UNUSABLE.usable(store)
    return "ok"


def _open_tokens(service: Service) -> None:
    service.tokens.find("none")
    # The file may be another one by now than that which was opened when the service began.
    if _is_there(service.settings.tokens):
        with TokenStore(service.settings.tokens):
            pass


def _open_shares(settings: Settings) -> None:
    # The first share makes the file.
    if _is_there(settings.shares):
        with ShareStore(settings.shares):
            pass


def _open_link_keys(service: Service) -> None:
    # The first link makes the file.
    if service.environment.get(KEY_VARIABLE) or _is_there(service.settings.link_keys):
        LinkKeys(service.settings.link_keys, service.environment).all()


def _is_there(path: Path) -> bool:
    """Whether there is such a file. Raises ``OSError`` where its folder cannot be looked into."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
def metrics() -> Response:
    """Requests, seconds and bytes by route, in Prometheus' text form."""
    content, media_type = figures()
    return Response(content, media_type=media_type)
