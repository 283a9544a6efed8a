"""Datasets by their own names: which there are for the principal, what they look like, their rows, what changed."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, Request, Response

from omgov_assets.interface_service.asking import AskingHere
from omgov_assets.interface_service.formats.formats import FORMATS, JSON, NDJSON
from omgov_assets.interface_service.formats.texts import objects
from omgov_assets.interface_service.parameters import Parameter
from omgov_assets.interface_service.problems import Problem
from omgov_assets.interface_service.rest.answers import answered
from omgov_assets.interface_service.rest.asked import FORMAT, OF_ROWS, asked_by, version_number
from omgov_assets.interface_service.rest.documents import (
    ANY_ROW,
    VERSION,
    closed,
    documented,
    page_schema,
)
from omgov_assets.interface_service.rest.rows import address, rows_answer

router = APIRouter(tags=["datasets"])

# Each is compared with the one before: a few are a question, all of them a night's work.
MOST_VERSIONS = 100
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**53}
FIRST = Parameter("first", f"First version; at most {MOST_VERSIONS} at a time.", _NUMBER, 1, required=True)
LAST = Parameter("last", "Last version, which counts.", _NUMBER, 2, required=True)
_OF_CHANGES = (FIRST, LAST, FORMAT)

_LINK = {"type": "string", "description": "Address."}
_DATASET_LINKS = closed({"self": _LINK, "rows": _LINK, "changes": _LINK})
_NAMED = closed({"dataset": {"type": "string"}, "links": _DATASET_LINKS})
_LISTED = closed({"datasets": {"type": "array", "items": _NAMED}})
_DESCRIBED = closed(
    {
        "dataset": {"type": "string"},
        "version": VERSION,
        "days": {"type": "array", "items": {"type": "string"}, "description": "Days that have rows for you."},
        "rows": {"type": "string", "description": "Which rows are yours, in words."},
        "columns": {
            "type": "array",
            "items": closed({"name": {"type": "string"}, "type": {"type": "string"}, "masked": {"type": "boolean"}}),
        },
        "links": _DATASET_LINKS,
    }
)
_CHANGED = closed({"dataset": {"type": "string"}, "rows": {"type": "array", "items": ANY_ROW}})


@router.get(
    "/v1/datasets",
    summary="Datasets that you may read",
    response_class=Response,
    **documented(_LISTED, "Their names, sorted.", (FORMAT,)),
)
def get_datasets(request: Request, asking: AskingHere) -> Response:
    """Datasets that you may read, for the purpose that you ask for."""
    asked_by(request, 1, (FORMAT,), offered=(JSON,))
    here = address(request)
    names = asking.door.datasets(asking.principal)
    listed = [{"dataset": name, "links": _links(f"{here}/{name}")} for name in names]
    return _answered(request, {"datasets": listed})


@router.get(
    "/v1/datasets/{folder}/{table}",
    summary="What a dataset looks like for you",
    response_class=Response,
    **documented(_DESCRIBED, "Its columns, days, and which of its rows are yours.", (FORMAT,)),
)
def get_dataset(folder: str, table: str, request: Request, asking: AskingHere) -> Response:
    """Columns with types and whether they are masked, your rows in words, days that have any, and its version."""
    asked_by(request, 1, (FORMAT,), offered=(JSON,))
    dataset = f"{folder}/{table}"
    described = asking.door.describe(asking.principal, dataset)
    return _answered(
        request,
        {
            "dataset": dataset,
            "version": described.version,
            "days": described.days,
            "rows": described.rows_in_words,
            "columns": [{"name": one.name, "type": one.sql_type, "masked": one.masked} for one in described.columns],
            "links": _links(address(request)),
        },
    )


@router.get(
    "/v1/datasets/{folder}/{table}/rows",
    summary="Rows of a dataset",
    response_class=Response,
    **documented(page_schema(ANY_ROW), "A page of rows.", OF_ROWS, FORMATS),
)
def get_rows(folder: str, table: str, request: Request, asking: AskingHere) -> Response:
    """Rows as you see them: yours, masked where they are for you, and no others are counted, sorted or compared."""
    asked = asked_by(request, asking.service.limits.page_rows)
    return rows_answer(asking, request, f"{folder}/{table}", asked)


@router.get(
    "/v1/datasets/{folder}/{table}/changes",
    summary="What changed in a dataset for you",
    response_class=Response,
    **documented(_CHANGED, "Rows that came and went.", _OF_CHANGES, (JSON, NDJSON)),
)
def get_changes(folder: str, table: str, request: Request, asking: AskingHere) -> Response:
    """Rows that came into your sight (`_change_type` insert) and left it (delete), by version (`_commit_version`)."""
    asked = asked_by(request, 1, _OF_CHANGES, offered=(JSON, NDJSON))
    first, last = (version_number(name, *asked.said.get(name, [""])) for name in ("first", "last"))
    if not first <= last < first + MOST_VERSIONS:
        raise Problem(400, "bad_versions", f"first, last: ask for 1 to {MOST_VERSIONS} versions, the first one first.")
    dataset = f"{folder}/{table}"
    rows = objects(asking.door.changes(asking.principal, dataset, first, last))
    if asked.form is NDJSON:
        body = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        return answered(body, NDJSON.media_type, request.headers.get("if-none-match"))
    return _answered(request, {"dataset": dataset, "rows": rows})


def _links(of: str) -> dict[str, str]:
    return {"self": of, "rows": f"{of}/rows", "changes": f"{of}/changes"}


def _answered(request: Request, document: dict[str, Any]) -> Response:
    return answered(orjson.dumps(document), JSON.media_type, request.headers.get("if-none-match"))
