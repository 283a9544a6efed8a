"""``/``: what is wrong today, whether it is worse than the day before, and what has to be done now.

Everything is counted from the anomalies that the reader sees, so that a support group's page is about its own. Does not
belong here: how it looks (``templates``).
"""

from __future__ import annotations

from datetime import date
from typing import Any

from fastapi import APIRouter, Response

from omgov_assets.admission.ledger import LEDGER
from omgov_assets.interface_service.pages.admission_page import with_reasons
from omgov_assets.interface_service.pages.labels import create_labels
from omgov_assets.interface_service.pages.page import Page, PageHere, PageRoute
from omgov_assets.interface_service.pages.seen import Row, Seen
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.case_tables import CASES
from omgov_assets.quality_analysis.report.cases import read_cases
from omgov_assets.quality_analysis.report.morning import QUALITY_DIMENSIONS, placed_finding, score_matrix
from omgov_assets.quality_analysis.report.queries import rows_of
from omgov_assets.quality_analysis.root_causes import ROOT_CAUSES
from omgov_assets.quality_analysis.root_causes.reading import causes_of
from omgov_assets.quality_analysis.scorecards import SCORECARDS
from omgov_assets.quality_policy.violations import CHECK_RESULTS, NOT_DELIVERED

CASES_SHOWN = 8
CAUSES_SHOWN = 6
CRITICAL_FINDINGS = 8
OTHER_FINDINGS = 6
# What a first page about a day consists of beside the anomalies.
_TROUBLED = ("not_delivered", "refused", "partial")
PARTS = (CASES, LEDGER, ROOT_CAUSES, SCORECARDS, CHECK_RESULTS)

router = APIRouter(route_class=PageRoute)


@router.get("/")
def today(page: PageHere) -> Response:
    """The first page."""
    with page.reading("today", ANOMALIES, CHECK_RESULTS) as seen:
        if page.day is None:
            return page.answer("today.html.j2", "today", shown=None)
        shown = read_today(seen, page)
        return page.answer("today.html.j2", "today", shown=shown, compared_with=shown["compared_with"])


def read_today(seen: Seen, page: Page) -> dict[str, Any]:
    """What the page shows of its day."""
    day = page.day or date.min
    compared_with = seen.day_before(day)
    seen.whole("anomalies", ANOMALIES, day)
    if compared_with is None:
        seen.empty("before", ANOMALIES)
    else:
        seen.whole("before", ANOMALIES, compared_with)
    mine = {name: name in seen.datasets for name in PARTS}
    create_labels(seen, day)
    shown: dict[str, Any] = {
        "compared_with": compared_with,
        "total": seen.ask("total")[0],
        "types": seen.ask("types"),
        "findings": [
            placed_finding(row)
            for row in rows_of(seen.con, "findings", {"critical": CRITICAL_FINDINGS, "others": OTHER_FINDINGS})
        ],
        "mine": mine,
        "not_mine": [name for name in PARTS if not mine[name]],
        "quality_dimensions": QUALITY_DIMENSIONS,
    }
    seen.whole("cases", CASES, day)
    shown["case_counts"], shown["cases"] = read_cases(seen.con, CASES_SHOWN)
    seen.whole("ledger", LEDGER, day)
    deliveries = rows_of(seen.con, "deliveries", {"not_delivered": NOT_DELIVERED})
    shown["decisions"] = _counted(deliveries, "decision")
    shown["troubled"] = [with_reasons(row) for row in deliveries if row["decision"] in _TROUBLED]
    seen.whole("root_causes", ROOT_CAUSES, day)
    shown["causes"] = causes_of(seen.con, CAUSES_SHOWN)
    seen.whole("scorecards", SCORECARDS, day)
    cards = seen.rows("FROM scorecards WHERE subject_kind IN ('system', 'firm') ORDER BY subject_key")
    shown["systems"] = score_matrix(cards)
    shown["score"] = next((row["overall"] for row in shown["systems"] if row["kind"] == "firm"), None)
    seen.whole("check_results", CHECK_RESULTS, day)
    shown["unjudged"] = rows_of(seen.con, "unjudged")
    shown["policies_unjudged"] = sum(row["policies"] for row in shown["unjudged"])
    return shown


def _counted(rows: list[Row], name: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[name]] = counts.get(row[name], 0) + 1
    return counts
