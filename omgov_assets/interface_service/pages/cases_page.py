"""``/cases``: the cases that the reader sees, and one of them with its history, its members and what may be done.

Does not belong here: doing it (``case_acts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response
from starlette.datastructures import QueryParams

from omgov_assets.access_control.governed_query import Condition
from omgov_assets.exception_management.events import create_effective
from omgov_assets.exception_management.lifecycle import OF_PEOPLE
from omgov_assets.exception_management.reading import CaseFilter, case_in, cases_in
from omgov_assets.interface_service.pages.labels import create_labels, labels_of
from omgov_assets.interface_service.pages.page import Page, PageHere, PageRoute
from omgov_assets.interface_service.pages.seen import Row, Seen
from omgov_assets.interface_service.problems import not_there
from omgov_assets.quality_analysis.case_tables import CASE_EVENTS, CASE_MEMBERS, CASES
from omgov_assets.quality_analysis.report.cases import placed_cases
from omgov_assets.quality_analysis.report.queries import rows_of

ROWS = 50
MEMBERS_SHOWN = 30
GROUPS_SHOWN = 15
# Suggestions of a field.
OFFERED = 50
STATUSES = (
    "open",
    "acknowledged",
    "in_progress",
    "fix_claimed",
    "reopened",
    "reassigned",
    "waived",
    "closed",
    "merged",
)
SEVERITIES = ("critical", "warning", "info")
# Filters of the address, each with the field of ``CaseFilter``; those of members need the members.
_FILTERS = {
    "responsible": "responsible",
    "type": "anomaly_type",
    "cause": "cause_id",
    "group": "group",
    "owner": "owner_id",
    "system": "system",
    "ci": "ci_id",
    "application": "application_id",
    "policy": "policy_id",
}
_OF_MEMBERS = ("group", "owner", "system", "ci", "application", "policy")

router = APIRouter(route_class=PageRoute)


@router.get("/cases")
def cases(page: PageHere, start: int = 0, done: str = "") -> Response:
    """The cases of a day: the overdue first, then the worst, then the largest."""
    # What was done to a case that is not the reader's any more.
    done = done if done in OF_PEOPLE else ""
    params = page.frame.request.query_params
    with page.reading("cases") as seen:
        if page.day is None:
            return page.answer("cases.html.j2", "cases", rows=[], counts=None, done=done)
        seen.whole("cases", CASES, page.day)
        if any(params.get(name) for name in _OF_MEMBERS):
            seen.whole("members", CASE_MEMBERS, page.day)
        else:
            seen.empty("members", CASE_MEMBERS)
        create_labels(seen, page.day)
        found = cases_in(seen.con, _filter(params))
        first = max(start, 0)
        return page.answer(
            "cases.html.j2",
            "cases",
            rows=placed_cases(seen.con, found[first : first + ROWS]),
            compared_with=seen.day_before(page.day),
            found=len(found),
            open_members=sum(row["open_members"] for row in found),
            counts=rows_of(seen.con, "case_counts")[0],
            first=first,
            size=ROWS,
            done=done,
            asked={
                name: params.getlist(name) for name in ("status", "severity", "overdue", *_FILTERS) if params.get(name)
            },
            responsibles=seen.ask("responsibles"),
            types=seen.rows("SELECT DISTINCT anomaly_type FROM cases ORDER BY 1"),
            statuses=STATUSES,
            severities=SEVERITIES,
            labels=labels_of(seen, (params.get(name) for name in _FILTERS)),
        )


@router.get("/cases/{case_id}")
def case(page: PageHere, case_id: str, done: str = "") -> Response:
    """One case."""
    return show(page, case_id, done=done if done in OF_PEOPLE else "")


def show(
    page: Page,
    case_id: str,
    status: int = 200,
    done: str = "",
    wrong: str = "",
    why: str = "",
    typed: Mapping[str, str] | None = None,
) -> Response:
    """The page of a case.

    Args:
        page: the page.
        case_id: the case.
        status: of the answer.
        done: the event of an act that was just done.
        wrong: why an act was not done: ``faster``, ``not_possible``, ``incomplete``, ``unfit``.
        why: the same in a sentence.
        typed: what had been typed, which is not to be lost.
    """
    with page.reading("cases") as seen:
        row = find(seen, page, case_id)
        day = row["day"]
        create_labels(seen, day)
        seen.matching("logged", CASE_EVENTS, [None], Condition("case_id", "=", case_id))
        create_effective(seen.con)
        seen.matching("members", CASE_MEMBERS, [day], Condition("case_id", "=", case_id))
        found = case_in(seen.con, placed_cases(seen.con, [row])[0])
        legal = {kind for kind, transition in OF_PEOPLE.items() if found["status"] in transition.legal_in}
        governance = page.asking.rules.governance
        may_act = day == page.days[0] and governance is not None and page.may_act(CASES, f"acts on {case_id} are")
        longest = governance.exceptions.longest_waiver_days if governance else 0
        keys = [found["responsible"], found["owner_id"], *(group["responsible"] for group in found["groups"])]
        return page.answer(
            "case.html.j2",
            "cases",
            status,
            case=found,
            compared_with=seen.day_before(day),
            legal=legal if may_act else set(),
            may_act=may_act,
            is_last=day == page.days[0],
            persons=seen.ask("persons", {"top": OFFERED}) if may_act else [],
            mergeable=mergeable(seen, found) if may_act and "merged" in legal else [],
            groups=seen.rows("SELECT support_group_id, name FROM support_groups ORDER BY 1") if may_act else [],
            labels=labels_of(seen, keys),
            history_is_mine=CASE_EVENTS in seen.datasets,
            members_are_mine=CASE_MEMBERS in seen.datasets,
            members_shown=MEMBERS_SHOWN,
            groups_shown=GROUPS_SHOWN,
            first_end=day + timedelta(days=1),
            last_end=day + timedelta(days=longest),
            done=done,
            wrong=wrong,
            why=why,
            typed=typed or {},
        )


def mergeable(seen: Seen, case: Row) -> list[Row]:
    """Open cases of the reader that a case can be merged into, those of its kind first, with where each is."""
    seen.whole("open_cases", CASES, case["day"])
    named = {"case": case["case_id"], "type": case["anomaly_type"], "cause": case["cause_id"], "top": OFFERED}
    return placed_cases(seen.con, seen.ask("mergeable", named))


def find(seen: Seen, page: Page, case_id: str) -> Row:
    """The case as it stands on the page's day, where the reader sees it; raises ``Problem`` (404) elsewhere."""
    if page.day is not None:
        seen.matching("cases", CASES, [page.day], Condition("case_id", "=", case_id))
        for row in seen.rows("FROM cases"):
            return row
    raise not_there()


def _filter(params: QueryParams) -> CaseFilter:
    named: dict[str, Any] = {field: params.get(name) or None for name, field in _FILTERS.items()}
    return CaseFilter(
        statuses=[value for value in params.getlist("status") if value in STATUSES],
        severities=[value for value in params.getlist("severity") if value in SEVERITIES],
        is_overdue=True if params.get("overdue") == "1" else None,
        **named,
    )
