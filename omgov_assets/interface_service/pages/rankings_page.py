"""``/rankings/{dimension}``: which keys of a dimension have the most anomalies, down to the single ones.

Counted from the anomalies that the reader sees, within whatever choice the address makes; rates and weights come from
the rankings of the night, where these are the reader's and the whole day is meant. Does not belong here: choosing
(``choosing``).
"""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from omgov_assets.interface_service.pages.choosing import Chosen, chosen_by, conditions_of, labelled
from omgov_assets.interface_service.pages.labels import create_labels
from omgov_assets.interface_service.pages.page import Page, PageHere, PageRoute
from omgov_assets.interface_service.pages.seen import Row, Seen
from omgov_assets.interface_service.problems import not_there
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.drill_down import OPTION_OF
from omgov_assets.quality_analysis.report.morning import RANKED
from omgov_assets.quality_policy.violations import CHECK_RESULTS

ROWS = 50
# Behind it there is nothing, and numbers end somewhere.
LARGEST_START = 10**9
_DIMENSIONS = dict(RANKED)
_LISTS = {"application": "application_ids", "network_device": "network_device_ids"}
# What keys can be ordered by; the first is how they are without being asked.
ORDERS: dict[str, str] = {
    "anomalies": "anomalies DESC, key",
    "new": "new DESC NULLS LAST, anomalies DESC, key",
    "change": "change DESC NULLS LAST, anomalies DESC, key",
    "rate": "rate_lower_bound DESC NULLS LAST, anomalies DESC, key",
    "weight": "severity_score DESC NULLS LAST, anomalies DESC, key",
}

router = APIRouter(route_class=PageRoute)


@router.get("/rankings")
def rankings(page: PageHere) -> Response:
    """The first dimension."""
    return RedirectResponse(page.frame.url(f"/rankings/{next(iter(_DIMENSIONS))}"), 303)


@router.get("/rankings/{dimension}")
def ranking(page: PageHere, dimension: str, order: str = "anomalies", start: int = 0) -> Response:
    """The keys of a dimension, fifty at a time."""
    if dimension not in _DIMENSIONS:
        raise not_there()
    by = order if order in ORDERS else "anomalies"
    chosen = chosen_by(page.frame.request.query_params)
    with page.reading("rankings", ANOMALIES, CHECK_RESULTS) as seen:
        first = min(max(start, 0), LARGEST_START)
        rows = ranked(seen, page, dimension, chosen, by, first) if page.day else []
        return page.answer(
            "ranking.html.j2",
            "rankings",
            dimension=dimension,
            dimensions=list(_DIMENSIONS),
            option=OPTION_OF[dimension],
            chosen=chosen,
            chips=labelled(seen, chosen) if page.day else [],
            rows=rows,
            order=by,
            start=first,
            size=ROWS,
            compared_with=seen.day_before(page.day) if page.day else None,
        )


def ranked(seen: Seen, page: Page, dimension: str, chosen: Chosen, order: str, start: int) -> list[Row]:
    """Keys of a dimension: rank, anomalies, new, previous and change (these three None without a day before), most.

    ``keys`` is how many there are, ``without`` how many of the anomalies have no such dimension.
    """
    day = page.day
    assert day is not None  # noqa: S101 - the caller's condition
    before = seen.day_before(day)
    seen.whole("anomalies", ANOMALIES, day)
    create_labels(seen, day)
    condition, params = conditions_of(seen, chosen, day)
    if before is not None:
        seen.whole("before", ANOMALIES, before)
    else:
        seen.empty("before", ANOMALIES)
    column = _LISTS.get(dimension, _DIMENSIONS[dimension])
    return seen.ask(
        "ranking",
        params
        | {
            "dimension": dimension,
            "is_whole": chosen.is_all,
            "has_before": before is not None,
            "is_compared": before is not None and not chosen.is_of_its_day,
            "start": start,
            "rows": ROWS,
        },
        condition=condition,
        # The lists of an anomaly that has none give no row; it is counted by ``without``.
        keys=f"unnest({column})" if dimension in _LISTS else column,
        has_none=f"coalesce(len({column}), 0) = 0" if dimension in _LISTS else f"{column} IS NULL",
        order=ORDERS[order],
    )
