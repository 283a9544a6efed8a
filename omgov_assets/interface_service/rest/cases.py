"""Cases by REST: reading one with its history, and acting on it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response

from omgov_assets.access_control.governed_query import AccessDeniedError
from omgov_assets.exception_management.acts import Person
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.interface_service.asking import Asking, AskingHere
from omgov_assets.interface_service.formats.formats import JSON
from omgov_assets.interface_service.problems import Problem, not_there
from omgov_assets.interface_service.rest.answers import PRIVATE
from omgov_assets.interface_service.rest.asked import FORMAT, asked_by
from omgov_assets.interface_service.rest.case_acts import ACTS_OF_REST, ActOfRest, body_of, seen_event
from omgov_assets.interface_service.rest.case_documents import CASE_SCHEMA, CaseSeen, document_of, seen_case
from omgov_assets.interface_service.rest.documents import documented, problems
from omgov_assets.interface_service.rest.rows import address

router = APIRouter(tags=["cases"])


async def _raw_body(request: Request) -> bytes:
    return await request.body()


# Read only when it is known who asks: parameters are resolved in order.
RawBody = Annotated[bytes, Depends(_raw_body)]


@router.get(
    "/v1/cases/{case_id}",
    summary="A case, with what happened to it",
    response_class=Response,
    **documented(CASE_SCHEMA, "The case; its ETag is what an act says in If-Match.", (FORMAT,)),
)
def get_case(case_id: str, request: Request, asking: AskingHere) -> Response:
    """A case as it stands on the last day that has cases for you, with its history and what its status allows."""
    asked_by(request, 1, (FORMAT,), offered=(JSON,))
    return _case_answer(asking, request, seen_case(asking, case_id), 2)


def _add(act: ActOfRest) -> None:
    """Let the router do an act."""

    def acted(case_id: str, request: Request, asking: AskingHere, raw: RawBody) -> Response:
        asked_by(request, 1, (FORMAT,), offered=(JSON,))
        return _acted(act, case_id, request, asking, raw)

    said = documented(CASE_SCHEMA, "The case after the act.", (FORMAT,))
    said["responses"] |= problems(403, 409, 412, 413, 428)
    said["responses"][204] = {"description": "It is done, and the case is no longer among those that you may see."}
    del said["responses"][304]
    if act.name == "split":
        ok = said["responses"].pop(200)
        header = {"Location": {"schema": {"type": "string"}, "description": "Address of the new case."}}
        said["responses"][201] = ok | {"headers": header}
    said["openapi_extra"]["parameters"].append(
        {
            "name": "If-Match",
            "in": "header",
            "required": True,
            "description": "ETag of the case as you read it: its last event.",
            "schema": {"type": "string", "pattern": '^"[A-Za-z0-9._-]{1,128}"$'},
            "example": '"0123456789ab"',
        }
    )
    said["openapi_extra"]["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": act.body.model_json_schema(ref_template="#/components/schemas/{model}"),
                "example": act.example,
            }
        },
    }
    router.add_api_route(
        f"/v1/cases/{{case_id}}/{act.name}",
        acted,
        methods=["POST"],
        name=f"{act.name.replace('-', '_')}_case",
        summary=act.brief,
        description=f"{act.body.__doc__} Says in `If-Match` which state of the case you have seen.",
        response_class=Response,
        status_code=201 if act.name == "split" else 200,
        **said,
    )


for _act in ACTS_OF_REST:
    _add(_act)


def _acted(act: ActOfRest, case_id: str, request: Request, asking: Asking, raw: bytes) -> Response:
    # Whoever does not see the case is told nothing of what else may be wrong.
    seen_case(asking, case_id)
    event = seen_event(request.headers.get("if-match"))
    body = body_of(act, raw)
    others = list(getattr(body, "others", ()))
    try:
        asking.door.permit_cases(asking.principal, [case_id, *others], f"{act.name} {case_id}")
    except AccessDeniedError:
        if others:
            raise
        raise Problem(403, "not_permitted", "You may read this case, not act on it.") from None
    governance = asking.rules.governance
    if governance is None:
        raise not_there()
    person = Person(asking.principal.name, asking.at)
    made = act.do(asking.lake, CaseRules.of(governance), {case_id: event}, person, body)
    here = address(request).removesuffix(f"/{act.name}")
    try:
        answer = _case_answer(asking, request, seen_case(asking, case_id), 3)
    except Problem as gone:
        if gone.status != 404:
            raise
        # It was done: whoever gives a case away may not see it any more.
        answer = Response(status_code=204, headers=PRIVATE)
    if made is not None:
        answer.status_code = 201
        answer.headers["Location"] = f"{here.rpartition('/')[0]}/{made}"
    return answer


def _case_answer(asking: Asking, request: Request, seen: CaseSeen, depth: int) -> Response:
    """The document of a case; its address has so many parts behind the one of /v1."""
    here = address(request).rsplit("/", depth)[0]
    headers: dict[str, Any] = dict(PRIVATE)
    if seen.tag is not None:
        headers["ETag"] = seen.tag
    return Response(orjson.dumps(document_of(asking, seen, here)), headers=headers, media_type=JSON.media_type)
