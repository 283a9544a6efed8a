"""Ten nights in a row: every figure of the reports is what the first tables say, and trends follow the days.

On one night a business system delivers no inventory; other nights lack samples, definitions, or a part of the CMDB.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from lake_content import rows_of
from nights import Home
from oracle.report_figures import PAGES, Day, days_of
from ten_nights import DAYS, SILENT, SILENT_SYSTEM, GovernedNights

pytestmark = [pytest.mark.xdist_group("ten_nights"), pytest.mark.long]


@pytest.fixture(scope="module")
def ten_nights(governed: GovernedNights) -> Home:
    return governed.home


@pytest.fixture(scope="module")
def oracle(ten_nights: Home) -> dict[date, Day]:
    return {day.day: day for day in days_of(ten_nights.path, ten_nights.project / "governance", DAYS)}


class Figures(HTMLParser):
    """Every figure of a page, and what of its text is a number and no figure."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[tuple[tuple[str, ...], float]] = []
        self.page: tuple[str, ...] = ()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag == "main" and named.get("data-page"):
            self.page = tuple(unquote(part) for part in str(named["data-page"]).split("/"))
        if tag == "data":
            path = tuple(unquote(part) for part in str(named["data-figure"]).split("/"))
            self.found.append((path, float(str(named["value"]))))


@pytest.mark.parametrize("day", [DAYS[0], SILENT, DAYS[6], DAYS[9]], ids=str)
def test_every_figure_of_a_report_is_what_the_first_tables_say(
    ten_nights: Home, oracle: dict[date, Day], day: date
) -> None:
    # People have worked on the day's cases since its night.
    ten_nights.omgov("report", "--day", day.isoformat())
    folder = ten_nights.path / "report" / day.isoformat()
    page = Figures(folder / "index.html")
    kinds = Counter(path[0] for path, _ in page.found)
    assert {"total", "finding", "score", "lowest", "ranking", "admission", "delivery", "check", "cmdb"} <= set(kinds)
    wrong = {path: (value, oracle[day].figure(path)) for path, value in page.found}
    assert {path: pair for path, pair in wrong.items() if pair[0] != pytest.approx(pair[1], abs=1e-9)} == {}
    # The other language shows the same; within a sentence perhaps in another order.
    assert sorted(Figures(folder / "zh" / "index.html").found) == sorted(page.found)


@pytest.mark.parametrize("day", [DAYS[9]], ids=str)
@pytest.mark.parametrize("kind", PAGES)
def test_every_figure_of_every_page_is_what_the_first_tables_say(
    ten_nights: Home, oracle: dict[date, Day], day: date, kind: str
) -> None:
    seen = set()
    for path in sorted((ten_nights.path / "report" / day.isoformat() / kind).iterdir()):
        page = Figures(path)
        assert page.page[0] == kind
        seen.add(page.page[1])
        assert page.found
        wrong = {name: (value, oracle[day].page_figure(*page.page, name)) for name, value in page.found}
        assert {n: pair for n, pair in wrong.items() if pair[0] != pytest.approx(pair[1], abs=1e-9)} == {}, page.page
    assert seen == oracle[day].keys_with_a_page(kind)


def test_a_silent_system_has_no_data_and_resolves_nothing(ten_nights: Home, oracle: dict[date, Day]) -> None:
    lake = ten_nights.path / "lake"
    where = f"day = '{SILENT}' AND subject_kind = 'system' AND subject_key = '{SILENT_SYSTEM}'"
    cards = rows_of(lake, "quality/scorecards", "quality_dimension, status, score, change", where)
    by_dimension = {row[0]: row[1:] for row in cards}
    # Nothing else of the system is judged by timeliness; by completeness, its definitions are.
    assert by_dimension["timeliness"] == ("not_evaluated", None, None)
    assert by_dimension["completeness"][0::2] == ("scored", None)
    before = oracle[SILENT - timedelta(days=1)]
    of_instances = [n for n in before.anomalies if n[:2] == (SILENT_SYSTEM, "metric_instances")]
    unverified = [row for row, outcome in oracle[SILENT].gone if outcome == "unverified"]
    instances = (SILENT_SYSTEM, "metric_instances", "row")
    resolved = [row for row, outcome in oracle[SILENT].gone if outcome == "resolved"]
    assert [r for r in resolved if (r["system"], r["dataset"], r["subject_kind"]) == instances] == []
    assert len(unverified) >= len(of_instances) > 100
    total = rows_of(
        lake,
        "quality/anomaly_statistics",
        "unverified_anomalies, not_evaluated_share > 0.05",
        f"day = '{SILENT}' AND dimension_set = 'all'",
    )
    assert total == [(len(unverified), True)]


def test_every_day_accounts_for_the_anomalies_of_the_day_before(ten_nights: Home) -> None:
    rows = rows_of(
        ten_nights.path / "lake",
        "quality/anomaly_statistics",
        "day::VARCHAR, anomalies, new_anomalies, resolved_anomalies, withdrawn_anomalies, unverified_anomalies",
        "dimension_set = 'all'",
    )
    by_day = {day: counts for day, *counts in sorted(rows)}
    assert len(by_day) == len(DAYS)
    for day in DAYS[1:]:
        (before, *_), (now, new, *gone) = by_day[str(day - timedelta(days=1))], by_day[str(day)]
        assert now == before + new - sum(gone)
    assert sum(counts[2] for counts in by_day.values()) > 0, "some defects of the firm end"


def test_trends_hold_every_night_so_far(ten_nights: Home) -> None:
    page = Figures(ten_nights.path / "report" / DAYS[9].isoformat() / "index.html")
    trend = {
        path[3]: value for path, value in page.found if path[:3] == ("trend", "firm", "all") and path[4] == "anomalies"
    }
    assert list(trend) == [str(day) for day in DAYS]
    first = (ten_nights.path / "report" / DAYS[0].isoformat() / "index.html").read_text(encoding="utf-8")
    assert "Trends begin with the second night." in first
    charts = ('aria-label="Anomalies by day"', 'aria-label="Overall score by business system"')
    assert not any(chart in first for chart in charts)
    last = (ten_nights.path / "report" / DAYS[9].isoformat() / "index.html").read_text(encoding="utf-8")
    assert all(chart in last for chart in charts)


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_what_was_planted_is_found_and_nothing_else(ten_nights: Home, day: date) -> None:
    result = json.loads(ten_nights.omgov("evaluate", "--day", str(day), "--format", "json").stdout)
    assert [row for row in result if row["f1"] < 1] == []
