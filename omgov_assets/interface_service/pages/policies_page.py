"""``/policies``: the quality policies in force on a day, with what they found.

Does not belong here: judging (``quality_policy``).
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, Response

from omgov_assets.access_control.governed_query import Condition
from omgov_assets.interface_service.pages.page import PageHere, PageRoute
from omgov_assets.interface_service.pages.seen import Row
from omgov_assets.interface_service.problems import not_there
from omgov_assets.quality_policy.publication import QUALITY_POLICIES
from omgov_assets.quality_policy.violations import CHECK_RESULTS

VERDICTS = ("failed", "not_evaluated", "error", "passed")
DAYS_SHOWN = 14

router = APIRouter(route_class=PageRoute)


@router.get("/policies")
def policies(page: PageHere) -> Response:
    """The policies of a day by dataset: what needs a person first."""
    params = page.frame.request.query_params
    asked = {name: params[name] for name in ("verdict", "system", "dataset", "severity") if params.get(name)}
    with page.reading("policies") as seen:
        if page.day is None:
            return page.answer("policies.html.j2", "policies", rows=[], counts=None, asked=asked)
        seen.whole("checks", CHECK_RESULTS, page.day)
        seen.whole("policies", QUALITY_POLICIES, page.day)
        rows = seen.ask("policies")
        counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in VERDICTS}
        shown = [row for row in rows if all(row[name] == value for name, value in asked.items())]
        return page.answer(
            "policies.html.j2",
            "policies",
            rows=shown,
            by_dataset=by_policy(shown),
            counts=counts,
            asked=asked,
            systems=sorted({row["system"] for row in rows}),
            datasets=sorted({row["dataset"] for row in rows}),
        )


def by_policy(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of policies by dataset: each policy once, in the order of its worst verdict, with its systems.

    A policy has the columns of its first row; failed and evaluated of all; ``at``, its rows by system.
    """
    found: dict[str, dict[str, Row]] = {}
    for row in rows:
        of_dataset = found.setdefault(row["dataset"], {})
        one = of_dataset.setdefault(row["policy_id"], row | {"failed": None, "evaluated": None, "at": []})
        one["at"].append(row)
        for name in ("failed", "evaluated"):
            if row[name] is not None:
                one[name] = (one[name] or 0) + row[name]
    return {dataset: list(policies.values()) for dataset, policies in found.items()}


# An identifier is whatever a suite says, strokes included.
@router.get("/policies/{policy_id:path}")
def policy(page: PageHere, policy_id: str) -> Response:
    """One policy: what it expects, where it holds, and its verdicts of the last days."""
    with page.reading("policies") as seen:
        # Not of later days: the page says what was known on its day.
        days = [day for day in page.days if page.day and day <= page.day][:DAYS_SHOWN]
        of_policy = Condition("policy_id", "=", policy_id)
        seen.matching("checks", CHECK_RESULTS, days, of_policy)
        seen.matching("policies", QUALITY_POLICIES, days[:1], of_policy)
        checks = seen.ask("verdicts_of")
        published = seen.rows("FROM policies ORDER BY system, dataset")
        if not checks and not published:
            raise not_there()
        return page.answer(
            "policy.html.j2",
            "policies",
            policy_id=policy_id,
            one=published[0] if published else checks[0],
            published=published,
            today=[row for row in checks if row["day"] == page.day],
            history=seen.ask("verdicts_by_day"),
        )
