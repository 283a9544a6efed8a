"""Shared files behind signed links: addresses that are given out, and what they open.

Owns two rules: a link, and the offer it was given under, is proved anew by each request, whatever is kept of the one
before; and all that is wrong with one is told as the same. That a link was opened is on record before the first byte
leaves, and again each minute that it is read on, so that a reader of many ranges does not fill the record. Does not
belong here: what makes a link good (``access_control.signed_links``), HTTP ranges (``ranges``).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, FastAPI, Query, Request, Response

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.governed_query import AccessDeniedError
from omgov_assets.access_control.signed_links import Link, LinkRefusedError
from omgov_assets.interface_service.asking import Asking, readable_rules, service_of
from omgov_assets.interface_service.problems import Problem
from omgov_assets.interface_service.service import Rules, Service
from omgov_assets.interface_service.sharing.errors import SharingRoute
from omgov_assets.interface_service.sharing.ranges import MEDIA_TYPE, file_answer, file_threads
from omgov_assets.interface_service.sharing.shares import SharedTable
from omgov_assets.interface_service.sharing.standing_offers import StandingOffers

# Readers of large tables go through their files one after the other, and cannot ask for another link between.
LINK_LIFE = timedelta(hours=1)
# Clients take an address for one of HTTP only with a query of this name.
SIGNATURE = "X-Amz-Signature"
FILES = "/sharing/files"

_ON_RECORD_S = 60.0
_MOST_KEPT = 10_000
_REFUSED = "The link opens nothing, or no longer: ask for the table again."

Signature = Annotated[str, Query(alias=SIGNATURE, max_length=8_192, description="The signed link.")]
_DOCUMENTED: dict[int | str, dict[str, object]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "The whole file."},
    206: {"content": {MEDIA_TYPE: {}}, "description": "The range that was asked for."},
    304: {"description": "The client has it already."},
    403: {"description": "The link opens nothing."},
    416: {"description": "There is nothing in the range."},
}


class Addresses:
    """Gives out addresses of files of a shared table to whoever asks, all good until the same time.

    Attributes:
        expires_at: until when they are.
    """

    def __init__(self, asking: Asking, table: SharedTable, base: str) -> None:
        self._asking, self._table, self._base = asking, table, base
        ends = asking.at + LINK_LIFE
        if asking.principal.expires_at is not None:
            ends = min(ends, asking.principal.expires_at)
        self.expires_at = datetime.fromtimestamp(int(ends.timestamp()), UTC)

    def of(self, snapshot_id: str) -> str:
        """The address of a file. Raises ``LinkError``, ``LinkKeyError``."""
        asking = self._asking
        signature = asking.rules.links.sign(
            snapshot_id,
            asking.principal,
            asking.identity.token_id,
            self._table.id,
            asking.door.shown_hash,
            asking.at,
            self.expires_at,
        )
        name = snapshot_id.rpartition("/")[2]
        return f"{self._base}{FILES}/{name}.parquet?{SIGNATURE}={signature}"


class Openings:
    """Links that were opened within the last minute, and are on record for it; may be shared by threads.

    Args:
        ticks: seconds of a clock that nobody can set.
    """

    def __init__(self, ticks: Callable[[], float] = time.monotonic) -> None:
        self._ticks, self._lock = ticks, threading.Lock()
        self._opened: OrderedDict[Link, tuple[float, Path]] = OrderedDict()

    def opened(self, link: Link, hand_out: Callable[[], Path]) -> Path:
        """The file that a link opens; ``hand_out`` puts it on record, where that is to be done again."""
        with self._lock:
            known = self._opened.get(link)
        if known is not None and self._ticks() - known[0] < _ON_RECORD_S and known[1].is_file():
            return known[1]
        began = self._ticks()
        path = hand_out()
        with self._lock:
            self._opened[link] = (began, path)
            self._opened.move_to_end(link)
            while len(self._opened) > _MOST_KEPT:
                self._opened.popitem(last=False)
        return path


@asynccontextmanager
async def _giving_files(app: FastAPI) -> AsyncIterator[None]:
    """Keep what files are given by for as long as the app runs; ``app.state.service`` is there."""
    service: Service = app.state.service
    app.state.openings = Openings()
    with StandingOffers(service.settings.shares) as app.state.standing_offers:
        yield


router = APIRouter(route_class=SharingRoute, lifespan=_giving_files)


@router.get(
    f"{FILES}/{{name}}.parquet",
    operation_id="read_shared_file",
    summary="A shared file, or a range of it",
    response_class=Response,
    responses=_DOCUMENTED,
)
async def read_shared_file(request: Request, name: str, signature: Signature = "") -> Response:
    """The file that a link opens: Parquet, whole or in ranges. The link alone proves who asks."""
    return await _answered(request, name, signature)


@router.head(
    f"{FILES}/{{name}}.parquet",
    operation_id="look_at_shared_file",
    summary="Size of a shared file",
    response_class=Response,
    responses=_DOCUMENTED,
)
async def look_at_shared_file(request: Request, name: str, signature: Signature = "") -> Response:
    """What reading the file would begin with."""
    return await _answered(request, name, signature)


async def _answered(request: Request, name: str, signature: str) -> Response:
    def answered() -> Response:
        try:
            return file_answer(request, _opened(request, name, signature), name)
        except FileNotFoundError as error:
            # Deleted as unused since it was opened.
            raise _refused() from error

    return await run_sync(answered, limiter=file_threads())


def _opened(request: Request, name: str, signature: str) -> Path:
    service = service_of(request)
    rules, now = readable_rules(request), service.clock()
    try:
        link = rules.links.open(signature, now)
    except LinkRefusedError as refused:
        if refused.reason == "unavailable":
            raise Problem(503, "links_unavailable", "Links cannot be proved at present; try again.") from refused
        _put_on_record(service, rules, now, str(refused), refused.principal)
        raise _refused() from refused
    request.state.principal = link.principal
    if link.snapshot_id.rpartition("/")[2] != name:
        _put_on_record(service, rules, now, "link of another file", link.principal)
        raise _refused()
    offers: StandingOffers = request.app.state.standing_offers
    if not offers.stands(link.offer, link.principal, link.snapshot_id.rsplit("/", 2)[0]):
        _put_on_record(service, rules, now, "link to what is no longer offered to it", link.principal)
        raise _refused()
    openings: Openings = request.app.state.openings
    try:
        return openings.opened(link, lambda: rules.door.hand_out(link.principal, link.snapshot_id))
    except AccessDeniedError as error:
        raise _refused() from error


def _put_on_record(service: Service, rules: Rules, now: datetime, reason: str, principal: str | None) -> None:
    """A link that opened nothing; whoever sends many of them fills no disk."""
    service.record_failure(Decision(now, principal or "nobody", FILES, "deny", reason, rules.policy_hash))


def _refused() -> Problem:
    return Problem(403, "link_refused", _REFUSED)
