"""The routes of the pages, put together; signing in and out, and the style sheet.

Does not belong here: single pages.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from omgov_assets.access_control.authentication import AuthenticationError
from omgov_assets.interface_service.asking import identify
from omgov_assets.interface_service.pages import (
    admission_page,
    anomalies_download,
    anomalies_page,
    case_acts,
    cases_page,
    forgery,
    policies_page,
    rankings_page,
    signing_in,
    today_page,
)
from omgov_assets.interface_service.pages.addresses import within
from omgov_assets.interface_service.pages.page import FormHere, Frame, PageHere, PageRoute, not_found_page, style
from omgov_assets.interface_service.problems import problem_of

__all__ = ["not_found_page", "router"]

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in")
def sign_in_form(request: Request) -> Response:
    """The form that takes a token."""
    why = "ended" if request.query_params.get("why") == "ended" else ""
    return Frame(request).answer("sign_in.html.j2", next=request.query_params.get("next", ""), why=why)


@router.post("/sign-in")
def sign_in(request: Request, fields: signing_in.FieldsHere) -> Response:
    """Take a token and keep it in a cookie."""
    forgery.require_same_origin(request)
    credential = fields.get("token", "").strip()
    frame = Frame(request)
    if len(credential) > signing_in.LONGEST_IN_COOKIE:
        return frame.answer("sign_in.html.j2", 400, next=fields.get("next", ""), why="too_long")
    try:
        identify(request, credential)
    except AuthenticationError as error:
        problem = problem_of(error)
        answer: Response = frame.answer(
            "sign_in.html.j2",
            problem.status,
            next=fields.get("next", ""),
            why="refused" if problem.status == 401 else "later",
        )
        # A browser that is told of a scheme would ask for a password.
        answer.headers.update({name: value for name, value in problem.headers.items() if name == "Retry-After"})
        return answer
    answer = RedirectResponse(f"{frame.root}{within(fields.get('next'))}", 303)
    signing_in.keep(request, answer, credential)
    return answer


@router.post("/sign-out")
def sign_out(request: Request, page: PageHere, _form: FormHere) -> Response:
    """Have the browser forget the token. It is worth as much as before: who lost it revokes it."""
    answer = RedirectResponse(page.frame.url("/sign-in"), 303)
    signing_in.forget(request, answer)
    return answer


@router.get(style()[0])
def style_sheet() -> Response:
    """The style sheet, which may be kept for ever: another content has another name."""
    return Response(style()[1], headers={"Cache-Control": "public, max-age=31536000, immutable"}, media_type="text/css")


# The download before the page of one anomaly, whose address takes any name.
for _door in (
    today_page, rankings_page, anomalies_download, anomalies_page, cases_page, case_acts, admission_page, policies_page,
):  # fmt: skip
    router.include_router(_door.router)
