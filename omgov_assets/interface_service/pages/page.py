"""A page while it is made: who reads it, in which language, of which day, and how it becomes an answer.

Owns the frame of all pages: navigation, headers, and that whatever goes wrong is told as a page as well. Does not
belong here: what the pages show.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, tzinfo
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from omgov_assets.access_control.authentication import AuthenticationError
from omgov_assets.access_control.governed_query import AccessDeniedError
from omgov_assets.access_control.principals import Principal
from omgov_assets.admission.ledger import LEDGER
from omgov_assets.exception_management.acts import FasterActError
from omgov_assets.interface_service.asking import Asking, identify, readable_rules, service_of
from omgov_assets.interface_service.days import written_day
from omgov_assets.interface_service.pages import HERE, forgery, signing_in
from omgov_assets.interface_service.pages.addresses import Value, address
from omgov_assets.interface_service.pages.seen import Seen, seen_by
from omgov_assets.interface_service.pages.wording import LANGUAGE_COOKIE, chosen_language, environment, language
from omgov_assets.interface_service.problems import Problem, not_there, problem_of
from omgov_assets.model_management.wording import Wording
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASES
from omgov_assets.quality_analysis.drill_down import COLUMNS, OPTION_OF
from omgov_assets.quality_analysis.report import languages as report_languages
from omgov_assets.quality_analysis.report.languages import titles
from omgov_assets.quality_policy.violations import CHECK_RESULTS

# The pages in the order of the navigation, each with the dataset that it cannot do without.
PAGES: tuple[tuple[str, str, str], ...] = (
    ("today", "/", ANOMALIES),
    ("rankings", "/rankings/support_group", ANOMALIES),
    ("anomalies", "/anomalies", ANOMALIES),
    ("cases", "/cases", CASES),
    ("admission", "/admission", LEDGER),
    ("policies", "/policies", CHECK_RESULTS),
)

PAGE_NAMES = {
    "today": "Today",
    "rankings": "Rankings",
    "anomalies": "Anomalies",
    "cases": "Cases",
    "admission": "Admission",
    "policies": "Policies",
}
# What an option of an address is called, by a word of the report or the pages.
OPTION_WORDS: dict[str, str] = {option: option.replace("-", "_") for option in COLUMNS} | {
    **{option: dimension for dimension, option in OPTION_OF.items()},
    "case": "case",
    "responsible": "responsible",
}

# Below these nothing is a page.
OF_PROGRAMS = ("v1", "sharing", "metrics", "healthz", "readyz")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # No other site learns an address. To this one browsers name themselves, which forms are checked by.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STYLE_OF_REPORT = HERE.parents[1] / "quality_analysis" / "report" / "style.css"


class NotYoursError(Exception):
    """A page shows what is not the reader's; ``name`` is that of ``PAGES``."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@cache
def style() -> tuple[str, bytes]:
    """The style sheet, the report's and what pages have beyond it, and its path: another content, another name."""
    content = _STYLE_OF_REPORT.read_bytes() + (HERE / "style.css").read_bytes()
    return f"/pages/style.{hashlib.sha256(content).hexdigest()[:16]}.css", content


class Frame:
    """What every page has, whoever reads it: the language, and the way to render a template."""

    def __init__(self, request: Request) -> None:
        governance = service_of(request).rules().governance
        self.request = request
        self.root = signing_in.root_of(request)
        self.firm = governance.firm.name if governance else ""
        self.zone: tzinfo = governance.firm.zone if governance else UTC
        self.wording = governance.wording if governance else Wording()
        self.languages = tuple(governance.firm.languages) if governance else ("en", "zh")
        self.code = chosen_language(request, self.languages)

    def text(self, message: str, **values: object) -> str:
        """A message in the page's language."""
        said = language(self.code).text(message)
        return said % values if values else said

    def url(self, path: str, **values: Value) -> str:
        """The address of a page."""
        return address(self.root, path, values)

    def twin(self, code: str) -> str:
        """The address of this page in another language. What was sent by a form cannot be asked for again."""
        pairs = [(name, value) for name, value in self.request.query_params.multi_items() if name != "lang"]
        path = own_path(self.request) if self.request.method == "GET" else "/"
        several: dict[str, list[str]] = {}
        for name, value in pairs:
            several.setdefault(name, []).append(value)
        return address(self.root, path, {**several, "lang": code})

    def answer(self, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
        """A template as an answer."""
        common = {
            "page": None,
            "here": "",
            "nav": (),
            "compared_with": None,
            "page_names": {name: self.text(text) for name, text in PAGE_NAMES.items()},
            "pages_seen": {name for name, _ in shown.get("nav", ())},
            "option_words": OPTION_WORDS,
            "dimension_options": OPTION_OF,
            "frame": self,
            "tag": language(self.code).tag,
            "language_names": report_languages.NAMES,
            "style_url": f"{self.root}{style()[0]}",
            "url": self.url,
            "title_of": titles(self.wording, self.code),
        }
        body = environment(self.code).get_template(template).render(common | shown)
        answer = HTMLResponse(body, status)
        if self.request.query_params.get("lang") == self.code:
            answer.set_cookie(
                LANGUAGE_COOKIE,
                self.code,
                max_age=365 * 86_400,
                path=self.root or "/",
                secure=signing_in.is_secure(self.request),
                httponly=True,
                samesite="strict",
            )
        return answer


@dataclass
class Page:
    """A page whose reader is known.

    Attributes:
        frame: its language.
        asking: its reader.
        credential: what proved who that is.
        can_sign_out: whether it came from the sign-in page.
        days: days of which the reader sees anything, newest first; set by ``reading``.
        day: the day that the page shows; None where there is none.
    """

    frame: Frame
    asking: Asking
    credential: str
    can_sign_out: bool
    days: tuple[date, ...] = ()
    day: date | None = None

    @property
    def principal(self) -> Principal:
        """Its reader."""
        return self.asking.principal

    @property
    def form_token(self) -> str:
        """What the page's forms prove with that they are its own."""
        return forgery.form_token(self.credential)

    @property
    def earlier(self) -> date | None:
        """The day before the one that is shown, of those that there are."""
        return next((day for day in self.days if self.day and day < self.day), None)

    @property
    def later(self) -> date | None:
        """The day after the one that is shown."""
        return next((day for day in reversed(self.days) if self.day and day > self.day), None)

    @property
    def asked_day(self) -> date | None:
        """The day as links need it: None where it is the last one, which is shown without being asked for."""
        return None if not self.days or self.day == self.days[0] else self.day

    @contextmanager
    def reading(self, name: str, *datasets: str) -> Iterator[Seen]:
        """What the reader sees, for a page of ``PAGES``, with the day chosen out of those of the datasets.

        Raises:
            NotYoursError: the page's dataset is not the reader's.
            Problem: the day that is asked for is no day.
        """
        with seen_by(self.asking) as seen:
            self.frame.request.state.seen_datasets = seen.datasets
            needed = {page: dataset for page, _, dataset in PAGES}[name]
            if needed not in seen.datasets:
                raise NotYoursError(name)
            self.days = tuple(seen.days(*(datasets or (needed,))))
            self.day = self._chosen_day()
            yield seen

    def may_act(self, dataset: str, what: str) -> bool:
        """Whether acts on a dataset are to be offered; that this was asked is on record as such.

        Args:
            dataset: ``<folder>/<table>``.
            what: what would be offered, for the record.
        """
        try:
            self.asking.door.permit(self.principal, dataset, "act", f"whether {what} offered")
        except AccessDeniedError:
            return False
        return True

    def answer(self, template: str, here: str, status: int = 200, **shown: Any) -> HTMLResponse:
        """A template as an answer; ``here`` is the page's name in the navigation."""
        return self.frame.answer(template, status, page=self, here=here, nav=navigation(self.frame.request), **shown)

    def _chosen_day(self) -> date | None:
        given = self.frame.request.query_params.get("day")
        if not given:
            return self.days[0] if self.days else None
        day = written_day(given)
        if day is None:
            raise Problem(400, "no_day", "A day is YYYY-MM-DD.")
        return day


def page_of(request: Request) -> Page:
    """The page that a request asks for.

    Raises:
        SignInNeededError: nobody known asks.
        Problem: the rules cannot be read; who is signed in stays so.
    """
    readable_rules(request)
    credential, in_cookie = signing_in.credential_of(request)
    if not credential:
        raise signing_in.SignInNeededError(ended=False)
    try:
        asking = identify(request, credential)
    except AuthenticationError as error:
        if in_cookie and problem_of(error).status == 401:
            raise signing_in.SignInNeededError(ended=True) from error
        raise
    page = Page(Frame(request), asking, credential, in_cookie)
    request.state.page = page
    return page


def form_of(request: Request, page: Annotated[Page, Depends(page_of)], fields: signing_in.FieldsHere) -> dict[str, str]:
    """The fields of a form that was filled in on a page of its sender."""
    forgery.require_own_form(request, page.credential, fields.get(forgery.FIELD, ""))
    return {name: value.replace("\r\n", "\n").strip() for name, value in fields.items()}


PageHere = Annotated[Page, Depends(page_of)]
FormHere = Annotated[dict[str, str], Depends(form_of)]


def navigation(request: Request) -> list[tuple[str, str]]:
    """Pages that the reader may see: name and path."""
    seen: frozenset[str] = getattr(request.state, "seen_datasets", frozenset())
    return [(name, path) for name, path, dataset in PAGES if dataset in seen]


def own_path(request: Request) -> str:
    """The path that is asked for, below the root."""
    root = signing_in.root_of(request)
    path = str(request.scope["path"])
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


class PageRoute(APIRoute):
    """A route whose answers bear the headers of pages, and whose errors are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, wrapped."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                answer = await handle(request)
            except signing_in.SignInNeededError as needed:
                answer = _to_sign_in(request, needed)
            except Exception as error:
                answer = await run_in_threadpool(_error_page, request, error)
            for name, value in HEADERS.items():
                answer.headers[name] = value
            answer.headers.setdefault("Cache-Control", "no-store")
            return answer

        return answered


def _to_sign_in(request: Request, needed: signing_in.SignInNeededError) -> Response:
    path = own_path(request) if request.method == "GET" else "/"
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    values: dict[str, Value] = {"next": "" if path == "/" and not query else path + query}
    if needed.ended:
        values["why"] = "ended"
    answer = RedirectResponse(address(signing_in.root_of(request), "/sign-in", values), 303)
    if needed.ended:
        signing_in.forget(request, answer)
    return answer


def _error_page(request: Request, error: Exception) -> Response:
    page: Page | None = getattr(request.state, "page", None)
    frame = page.frame if page else Frame(request)
    if isinstance(error, NotYoursError):
        command = _explaining(page.principal, error.name) if page else ""
        return _answer_in(page, frame, "not_yours.html.j2", 403, name=error.name, command=command)
    problem = problem_of(error)
    # That somebody was faster is no failed precondition to a person, but a state to look at.
    status = 409 if isinstance(error, FasterActError) else problem.status
    answer = _answer_in(page, frame, "problem.html.j2", status, problem=problem)
    for name, value in problem.headers.items():
        answer.headers[name] = value
    return answer


def not_found_page(request: Request) -> Response | None:
    """The page for an address that there is not, where a browser asks for one and no door of programs lies there."""
    is_for_people = "text/html" in request.headers.get("Accept", "") and "Authorization" not in request.headers
    first = own_path(request).split("/")[1]
    if request.method not in ("GET", "HEAD") or not is_for_people or first in OF_PROGRAMS:
        return None
    answer = Frame(request).answer("problem.html.j2", 404, problem=not_there())
    answer.headers.update(HEADERS | {"Cache-Control": "no-store"})
    return answer


def _explaining(principal: Principal, name: str) -> str:
    """The command that says why a page is not a principal's."""
    dataset = {page: dataset for page, _, dataset in PAGES}[name]
    purpose = ("--purpose", principal.purpose) if principal.purpose else ()
    return shlex.join(("omgov", "access", "explain", principal.name, dataset, *purpose))


def _answer_in(page: Page | None, frame: Frame, template: str, status: int, **shown: Any) -> HTMLResponse:
    return page.answer(template, "", status, **shown) if page else frame.answer(template, status, **shown)
