"""What people do with a case on its page: each act is a form, permitted, put on record, and done on what was seen.

Does not belong here: what is legal (``exception_management.lifecycle``), showing the case (``cases_page``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from omgov_assets.access_control.governed_query import AccessDeniedError
from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.acts import FasterActError, Person, UnknownCaseError
from omgov_assets.exception_management.lifecycle import IllegalActError
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.interface_service.days import written_day
from omgov_assets.interface_service.pages.addresses import part
from omgov_assets.interface_service.pages.cases_page import find, show
from omgov_assets.interface_service.pages.page import FormHere, Page, PageHere, PageRoute
from omgov_assets.interface_service.problems import Problem, not_there

LONGEST_TEXT = 4_000
LONGEST_NAME = 200

Form: TypeAlias = dict[str, str]
Seen: TypeAlias = dict[str, str]

router = APIRouter(route_class=PageRoute)


class _IncompleteError(ValueError):
    """A form without what the act needs; the message says what, in English."""


class _UnfitError(ValueError):
    """A case that cannot take another one; the message says why, in English."""


@router.post("/cases/{case_id}/{act}")
def act_on(page: PageHere, form: FormHere, case_id: str, act: str) -> Response:
    """Do something to a case, then show it; nothing is done where somebody was faster."""
    if act not in _ACTS:
        raise not_there()
    kind, do = _ACTS[act]
    with page.reading("cases") as seen:
        find(seen, page, case_id)
    governance = page.asking.rules.governance
    try:
        page.asking.door.permit_cases(page.principal, [case_id], f"{act} of {case_id}")
    except AccessDeniedError as error:
        raise Problem(403, "not_yours_to_do", "You may look at this case, not act on it. Nothing was done.") from error
    if governance is None:
        raise Problem(503, "rules_unreadable", "The firm's rules cannot be read at present. Nothing was done.")
    person = Person(page.principal.name, page.asking.at)
    try:
        do(page, page.asking.lake, CaseRules.of(governance), {case_id: form.get("last_event_id", "")}, person, form)
    except FasterActError as error:
        return show(page, case_id, 409, wrong="faster", why=str(error), typed=form | {"act": act})
    except IllegalActError as error:
        return show(page, case_id, 409, wrong="not_possible", why=str(error), typed=form | {"act": act})
    except _IncompleteError as error:
        return show(page, case_id, 422, wrong="incomplete", why=str(error), typed=form | {"act": act})
    except _UnfitError as error:
        return show(page, case_id, 422, wrong="unfit", why=str(error), typed=form | {"act": act})
    except UnknownCaseError as error:
        raise not_there() from error
    return RedirectResponse(page.frame.url(_where_it_is(page, case_id), done=kind) + "#said", 303)


def _where_it_is(page: Page, case_id: str) -> str:
    """The page of a case; that of all, where the act has taken it out of the reader's sight."""
    with page.reading("cases") as seen:
        try:
            find(seen, page, case_id)
        except Problem:
            return "/cases"
    return f"/cases/{part(case_id)}"


def _acknowledge(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, _form: Form) -> None:
    acts.acknowledge(lake, rules, seen, person)


def _take_on(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    to = _text(form, "to", "who works on it", LONGEST_NAME)
    acts.assign(lake, rules, seen, person, to, None, form.get("reason", "")[:LONGEST_TEXT])


def _reassign(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    group = _text(form, "group", "the support group", LONGEST_NAME)
    acts.assign(lake, rules, seen, person, None, group, _text(form, "reason", "why", LONGEST_TEXT))


def _claim_fix(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    acts.claim_fix(lake, rules, seen, person, _text(form, "text", "what was fixed", LONGEST_TEXT))


def _waive(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    reason = _text(form, "reason", "why", LONGEST_TEXT)
    until = written_day(_text(form, "until", "the last day", LONGEST_NAME))
    if until is None:
        raise _IncompleteError("give the last day of the waiver as YYYY-MM-DD")
    acts.waive(lake, rules, seen, person, reason, until)


def _comment(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    text, ticket = form.get("text", "")[:LONGEST_TEXT], form.get("ticket", "")[:LONGEST_NAME]
    if not text and not ticket:
        raise _IncompleteError("give a comment, or the reference of a ticket")
    acts.comment(lake, rules, seen, person, text or None, ticket or None)


def _split(_page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    which = {"responsible": [_text(form, "group", "whose anomalies", LONGEST_NAME)]}
    acts.split(lake, rules, seen, person, which, _text(form, "reason", "why", LONGEST_TEXT))


def _merge(page: Page, lake: Lake, rules: CaseRules, seen: Seen, person: Person, form: Form) -> None:
    into = _text(form, "into", "the case that takes the anomalies", LONGEST_NAME)
    if into in seen:
        raise _UnfitError("a case cannot be merged into itself")
    with page.reading("cases") as governed:
        try:
            taker = find(governed, page, into)
        except Problem as error:
            raise _UnfitError(f"there is no case {into}, or it is not for you") from error
    page.asking.door.permit_cases(page.principal, [*seen, into], f"merge into {into}")
    acts.merge(
        lake, rules, seen | {into: taker["last_event_id"]}, person, into, _text(form, "reason", "why", LONGEST_TEXT)
    )


def _text(form: Form, name: str, what: str, longest: int) -> str:
    text = form.get(name, "").strip()
    if not text:
        raise _IncompleteError(f"say {what}")
    if len(text) > longest:
        raise _IncompleteError(f"{what}: {longest:,} characters at most")
    return text


# Each act of an address, with the event that its case's history then shows.
_ACTS: dict[str, tuple[str, Callable[[Page, Lake, CaseRules, Seen, Person, Form], None]]] = {
    "acknowledge": ("acknowledged", _acknowledge),
    "assign": ("taken_on", _take_on),
    "reassign": ("reassigned", _reassign),
    "claim-fix": ("fix_claimed", _claim_fix),
    "waive": ("waived", _waive),
    "comment": ("commented", _comment),
    "split": ("split", _split),
    "merge": ("merged", _merge),
}
