"""Routes of the door that data comes in through.

A push is refused as early as it can be: who, where, which day, what, how large, under which key; only then a byte of
its body is read. Does not belong here: reading it (``intake``), judging it (``worker``).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.requests import ClientDisconnect

from omgov_assets.access_control import governed_query
from omgov_assets.access_control.governed_query import AccessDeniedError, Condition, QueryError
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.interface_service.asking import Asking, AskingHere
from omgov_assets.interface_service.days import written_day
from omgov_assets.interface_service.formats.texts import objects
from omgov_assets.interface_service.ingest.intake import Intake, Push, key_reused
from omgov_assets.interface_service.ingest.media_types import MEDIA_TYPES, coding_of, format_of
from omgov_assets.interface_service.ingest.receptions import Accepted, KeyReusedError, Receptions, Target, told_of
from omgov_assets.interface_service.ingest.worker import Worker
from omgov_assets.interface_service.limits import Places
from omgov_assets.interface_service.parameters import Parameter, read
from omgov_assets.interface_service.problems import DOCUMENTED, Problem, not_there
from omgov_assets.interface_service.service import Service
from omgov_assets.model_management.business_systems import SourceDataset

KEY_HEADER = "Idempotency-Key"
# A firm pushes some tens of batches a day; the gate takes seconds for each.
LONGEST_BACKLOG = 1_000

DAY = Parameter(
    "day",
    "Business day, YYYY-MM-DD; the firm's present one by default.",
    {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "2026-11-20",
)

_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_IDENTIFIER = re.compile(r"[0-9a-f]{32}", re.ASCII)


_EXAMPLE: dict[str, JsonValue] = {
    "id": "2f0c1b8d9e7a4c35b6d1f08a9c3e5d7b",
    "batch_id": "0a4f7c1e9b2d",
    "system": "securities_trading",
    "dataset": "metric_instances",
    "day": "2026-11-20",
    "size_bytes": 482113,
    "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "received_at": "2026-11-20T08:00:00Z",
}
_EXAMPLE_DECISION: dict[str, JsonValue] = {
    "state": "partial",
    "decision": "partial",
    "rows_in": 5000,
    "rows_admitted": 4998,
    "rows_quarantined": 2,
    "quarantine_reasons": {"not_convertible:last_seen": 2},
    "rows_warned": 0,
}


class Batch(BaseModel):
    """What was received.

    Attributes:
        id: what it is asked for by.
        batch_id: what the ledger and the rows call it (``_batch_id``).
        content_hash: SHA-256 of the bytes, after their content coding was undone.
    """

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: str
    batch_id: str
    system: str
    dataset: str
    day: date
    size_bytes: int
    content_hash: str
    received_at: datetime


class JudgedBatch(Batch):
    """What was received and what became of it.

    Attributes:
        state: ``received`` until the gate has decided, then what it decided: ``admitted``, ``partial``, ``refused``,
            ``repeated`` or ``superseded``; ``failed`` where it could not decide and nobody tries any more.
        error: why it could not decide the last time.
        quarantine_reasons: records by reason code.
        warnings: rows by warning.
    """

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE | _EXAMPLE_DECISION})

    state: str
    error: str | None = None
    decision: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    rows_in: int | None = None
    rows_admitted: int | None = None
    rows_quarantined: int | None = None
    quarantine_reasons: dict[str, int] = {}
    rows_warned: int | None = None
    warnings: dict[str, int] = {}


@dataclass(frozen=True)
class Ingest:
    """What a process holds to take data in."""

    receptions: Receptions
    intake: Intake
    worker: Worker


@asynccontextmanager
async def taking_in(app: FastAPI) -> AsyncIterator[None]:
    """Take data in for as long as the app runs; ``app.state.service`` is there."""
    service: Service = app.state.service
    with Receptions(service.settings.receptions) as receptions:
        limits = service.limits
        told = "Too many bodies{of_yours} are coming in; wait."
        places = Places(limits.bodies, limits.bodies_each, "too_many_pushes", told, wait_s=2)
        intake = Intake(service.settings, receptions, service.clock, places, limits.stalled_s)
        worker = Worker(service.settings, service.lake, receptions, lambda: service.rules().governance, service.clock)
        app.state.ingest = Ingest(receptions, intake, worker)
        worker.start()
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(worker.stop)
            intake.close()


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What the document of the interface says of answers that are problems."""
    said: dict[int | str, dict[str, Any]] = {
        status: {"description": HTTPStatus(status).phrase, "content": DOCUMENTED} for status in statuses
    }
    return said | {"4XX": {"description": "Another problem.", "content": DOCUMENTED}}


router = APIRouter(tags=["ingest"], lifespan=taking_in)


@router.post(
    "/v1/ingest/{system}/{dataset}",
    status_code=202,
    response_model=Batch,
    summary="Push a delivery of a dataset",
    responses=_refusals(400, 401, 404, 408, 413, 415, 422, 429, 503, 507),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {names[0]: {"schema": {"type": "string", "format": "binary"}} for names in MEDIA_TYPES.values()},
        },
        "parameters": [
            DAY.documented,
            {
                "name": KEY_HEADER,
                "in": "header",
                "required": False,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
                "example": "instances-2026-11-20",
            },
        ],
    },
)
async def push(
    request: Request,
    response: Response,
    asking: AskingHere,
    system: str,
    dataset: str,
) -> Batch:
    """Take a delivery: when the answer is there, it is on disk and will be judged as if it had landed as a file."""
    ingest: Ingest = request.app.state.ingest
    wanted = await anyio.to_thread.run_sync(_allowed, ingest, request, asking, system, dataset)
    try:
        answer = await ingest.intake.take(wanted, request.stream())
    except ClientDisconnect as gone:
        raise Problem(400, "cut_off", "The body broke off; nothing was taken.") from gone
    ingest.worker.wake()
    accepted = answer.accepted
    response.headers["Location"] = f"{request.scope.get('root_path', '')}/v1/batches/{accepted.id}"
    response.headers["Cache-Control"] = "no-store"
    if answer.is_replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return Batch(**_received(accepted))


@router.get(
    "/v1/batches/{batch}",
    response_model=JudgedBatch,
    summary="What became of a pushed delivery",
    responses=_refusals(400, 401, 404, 429, 503),
)
def judged_batch(request: Request, response: Response, asking: AskingHere, batch: str) -> JudgedBatch:
    """What the gate decided of a delivery: for who pushed it and may still push there, and for who may see its entry.

    That entry is in ``admission/ledger``.

    The refused records are in ``<system>/<dataset>_quarantine``, for those who may read that.
    """
    read(request.scope["query_string"], ())
    ingest: Ingest = request.app.state.ingest
    accepted = ingest.receptions.find(batch) if _IDENTIFIER.fullmatch(batch) else None
    if accepted is None:
        raise not_there()
    response.headers["Cache-Control"] = "no-store"
    if _is_senders(ingest, asking, accepted):
        if accepted.state == "received":
            response.headers["Retry-After"] = "1"
        return JudgedBatch(
            **_received(accepted), state=accepted.state, error=accepted.last_error, **_told(accepted.entry)
        )
    entry = _ledger_entry(asking, accepted)
    told = told_of(entry)
    return JudgedBatch(**_received(accepted), state=told["decision"], **_told(told))


def _allowed(ingest: Ingest, request: Request, asking: Asking, system: str, dataset: str) -> Push:
    """What may be pushed, as far as the head of the request says. Raises ``Problem``, ``AccessDeniedError``."""
    asking.door.permit(asking.principal, f"{system}/{dataset}", "write", asked_for="push")
    source = _source(asking, system, dataset)
    transport = source.transport
    (day,) = read(request.scope["query_string"], (DAY,)).get(DAY.name, [None])
    target = Target(system, dataset, _business_day(asking, day))
    delivery_format = format_of(", ".join(request.headers.getlist("Content-Type")), transport)
    coding = coding_of(", ".join(request.headers.getlist("Content-Encoding")))
    announced = request.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > transport.limits.max_file_bytes:
        raise Problem(
            413,
            "too_large",
            f"The body has {announced} bytes where {transport.limits.max_file_bytes} are allowed.",
            {"Connection": "close"},
        )
    key = _key(request)
    if key is not None:
        try:
            ingest.receptions.require_key_for(asking.principal.name, key, target)
        except KeyReusedError as error:
            raise key_reused() from error
    if ingest.receptions.backlog() >= LONGEST_BACKLOG:
        raise Problem(503, "backlog", "Too many batches wait to be judged; push again later.", {"Retry-After": "30"})
    return Push(asking.principal.name, target, delivery_format, coding, transport.limits, key)


def _source(asking: Asking, system: str, dataset: str) -> SourceDataset:
    governance = asking.rules.governance
    known = governance.systems.get(system) if governance is not None else None
    if known is None or dataset not in known.datasets:
        # A table that nobody delivers, such as what omgov fills itself.
        raise not_there()
    return known.datasets[dataset]


def _business_day(asking: Asking, day: str | None) -> date:
    """The business day of a push. Raises ``Problem``."""
    governance = asking.rules.governance
    if governance is None:
        raise not_there()
    today = asking.at.astimezone(governance.firm.zone).date()
    if day is None:
        return today
    found = written_day(day)
    if found is None:
        raise Problem(422, "bad_day", "Write the business day as YYYY-MM-DD.")
    if not governance.firm.first_day <= found <= today:
        raise Problem(422, "bad_day", f"The business day lies between {governance.firm.first_day} and {today}.")
    return found


def _key(request: Request) -> str | None:
    keys = request.headers.getlist(KEY_HEADER)
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        raise Problem(400, "bad_key", f"{KEY_HEADER} is one word of 1 to 255 visible ASCII characters.")
    return keys[0]


def _is_senders(ingest: Ingest, asking: Asking, accepted: Accepted) -> bool:
    """Whether the principal pushed a reception and may still push there, by this token; that is on record."""
    if not ingest.receptions.is_sender(accepted.id, asking.principal.name):
        return False
    try:
        asking.door.permit(asking.principal, accepted.target.table, "write", asked_for=f"batch {accepted.id}")
    except AccessDeniedError:
        return False
    return True


def _ledger_entry(asking: Asking, accepted: Accepted) -> Mapping[str, Any]:
    """The ledger's entry of a reception as the principal sees it. Raises ``Problem`` where it sees none."""
    conditions = (Condition("file_name", "=", accepted.file_name), Condition("batch_id", "=", accepted.batch_id))
    try:
        rows = objects(
            asking.door.rows(asking.principal, LEDGER, governed_query.Query(None, conditions), day=accepted.target.day)
        )
    except (AccessDeniedError, QueryError):
        rows = []
    if not rows or "decision" not in rows[0]:
        raise not_there()
    return rows[0]


def _received(accepted: Accepted) -> dict[str, Any]:
    return {
        "id": accepted.id,
        "batch_id": accepted.batch_id,
        "system": accepted.target.system,
        "dataset": accepted.target.dataset,
        "day": accepted.target.day,
        "size_bytes": accepted.size_bytes,
        "content_hash": accepted.content_hash,
        "received_at": accepted.received_at,
    }


def _told(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}
