"""What OpenAPI says of REST's answers: schemas of documents and rows, formats, problems.

Belongs here: schemas that are true of every answer. Does not belong here: parameters (``parameters`` documents them
from what reads them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.interface_service.formats.formats import JSON, Format
from omgov_assets.interface_service.parameters import Parameter
from omgov_assets.interface_service.problems import DOCUMENTED

_TYPES: dict[str, dict[str, Any]] = {
    "VARCHAR": {"type": ["string", "null"]},
    "BIGINT": {"type": ["integer", "null"], "format": "int64"},
    "DOUBLE": {"type": ["number", "null"]},
    "BOOLEAN": {"type": ["boolean", "null"]},
    "DATE": {"type": ["string", "null"]},
    "TIMESTAMPTZ": {"type": ["string", "null"]},
    "VARCHAR[]": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
}
DAY = {"type": ["string", "null"], "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
VERSION = {"type": ["integer", "null"], "minimum": 0}


def closed(properties: Mapping[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    """An object with these members and no others."""
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": dict(properties),
        "required": required,
        "additionalProperties": False,
    }


def row_of(table: TableSchema) -> dict[str, Any]:
    """A row of a dataset as somebody sees it: who sees what differs, so that no column must be there."""
    properties = {
        column.name: _TYPES[column.sql_type] | ({"description": column.description} if column.description else {})
        for column in table.columns
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


# A row of a dataset whose columns its description says.
ANY_ROW: dict[str, Any] = {"type": "object"}


def page_schema(row: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a page as JSON."""
    return closed(
        {
            "dataset": {"type": "string"},
            "day": DAY,
            "version": VERSION | {"description": "Delta version that was read."},
            "rows": {"type": "array", "items": dict(row)},
            "next": {"type": ["string", "null"], "description": "Address of the next page; null on the last one."},
        }
    )


def documented(
    schema: Mapping[str, Any],
    brief: str,
    parameters: Sequence[Parameter] = (),
    formats: Sequence[Format] = (JSON,),
    **more: Any,
) -> dict[str, Any]:
    """What FastAPI's decorators take beside an address: responses and parameters of a route.

    Args:
        schema: of the answer as JSON.
        brief: what the answer is.
        parameters: of the query string.
        formats: formats of the answer.
        more: further members of the operation.
    """
    content = {one.media_type.partition(";")[0]: {"schema": {"type": "string"}} for one in formats if one is not JSON}
    headers = {
        "ETag": {"schema": {"type": "string"}, "description": "Say it in If-None-Match: 304 where nothing changed."},
        "Link": {"schema": {"type": "string"}, "description": 'Address of the next page, rel="next".'},
    }
    ok = {"description": brief, "content": {"application/json": {"schema": dict(schema)}, **content}}
    if len(formats) > 1:
        ok["headers"] = {name: said | {"required": False} for name, said in headers.items()}
    return {
        "responses": {200: ok, **problems(*_USUAL)},
        "openapi_extra": {"parameters": [one.documented for one in parameters], **more},
    }


_BRIEFS = {
    304: "Nothing has changed since the answer whose ETag was sent.",
    400: "The question cannot be understood; says what to write.",
    401: "Bring a token.",
    403: "You may read this, not act on it.",
    404: "There is no such thing, or it is not for you.",
    406: "There is no format that Accept takes; says which there are.",
    409: "The case's status does not allow the act; says what it allows.",
    410: "What the cursor goes on in has changed; begin with the first page.",
    412: "Somebody was faster, or the night: read the case again.",
    413: "The body is too large.",
    428: "Say in If-Match which state of the case you have seen.",
    429: "The token is used too often; Retry-After says how long to wait.",
    503: "Nothing can be put on record or proved at present, or too many take all rows at once: come again.",
}
_USUAL = (304, 400, 401, 404, 406, 410, 429, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers that are problems, by status."""
    said: dict[int | str, dict[str, Any]] = {
        status: {"description": _BRIEFS[status]} | ({} if status == 304 else {"content": DOCUMENTED})
        for status in statuses
    }
    return said | {"4XX": {"description": "Another problem.", "content": DOCUMENTED}}
