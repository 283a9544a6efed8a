"""What pages call new: nothing on a day without a governed day before, and what links show where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta

import httpx
import pytest
from browsing import Parsed
from nights import DAY, Home
from served import Served, copy_of, served

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

TODAY = date.fromisoformat(DAY)
BEFORE = TODAY - timedelta(days=1)
NOTHING_NEW = "There is no governed day before to compare with: nothing is called new."


def first_of(settings: Settings, select: str) -> str:
    lake = Lake(settings.lake, settings.dataset_contracts)
    with lake.connect() as con:
        lake.register(con, "anomalies", "quality/anomalies", TODAY)
        lake.register(con, "cases", "exceptions/cases", TODAY)
        lake.register(con, "members", "exceptions/case_members", TODAY)
        ((found,),) = con.sql(select).fetchall()
    return str(found)


@pytest.fixture(scope="module")
def second_day(night_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service of a home whose day before has those two thirds of the anomalies that the day has had for longer."""
    home = copy_of(night_home, tmp_path_factory.mktemp("second") / "home")
    settings = Settings(home.path, home.project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    old = "hash(anomaly_id) % 3 > 0"
    with lake.connect() as con:
        lake.register(con, "kept", "quality/anomalies", TODAY)
        columns = ", ".join(f'"{name}"' for name in lake.schema("quality/anomalies").names)
        day, first = f"DATE '{BEFORE}'", f"CASE WHEN {old} THEN DATE '{BEFORE}' ELSE first_seen_day END"
        before = (
            f"SELECT {columns} FROM (SELECT * REPLACE ({day} AS day, {day} AS first_seen_day) FROM kept WHERE {old})"
        )
        after = f"SELECT {columns} FROM (SELECT * REPLACE ({first} AS first_seen_day) FROM kept)"
        tables = {BEFORE: con.sql(before).to_arrow_table(), TODAY: con.sql(after).to_arrow_table()}
    for written, rows in tables.items():
        lake.replace("quality/anomalies", written, rows)
    with served(settings) as running:
        yield running


def test_without_a_day_before_no_page_calls_anything_new(service: Served) -> None:
    case = first_of(service.settings, "SELECT min(case_id) FROM cases WHERE open_members > 0")
    anomaly = first_of(service.settings, "SELECT min(anomaly_id) FROM anomalies")
    with service.client("steward") as client:
        pages = {
            path: Parsed(client.get(path).text)
            for path in ("/", "/rankings/support_group", "/anomalies", "/cases", f"/cases/{case}")
        }
        pages["anomaly"] = Parsed(client.get(f"/anomalies/{anomaly}").text)
        chosen = [Parsed(client.get(f"{path}?new=1").text) for path in ("/anomalies", "/rankings/host")]
    for path, page in pages.items():
        # Figures before or behind the word, and days since when.
        assert not re.search(r"\b[\d,]+ new\b|\bNew today [\d,]+|[Ss]ince 20|new today \d", page.text), path
        assert not [link for link in page.links if "new=1" in link], path
    assert "nothing to compare with" in pages["/"].text
    assert NOTHING_NEW in pages["/rankings/support_group"].text
    for page in chosen:
        assert NOTHING_NEW in page.text


@pytest.mark.parametrize(
    "path", ["/", "/rankings/support_group", "/rankings/application?severity=warning", "/anomalies"]
)
def test_what_is_new_leads_to_just_that(second_day: Served, path: str) -> None:
    with second_day.client("steward") as client:
        html = client.get(path).text
        links = re.findall(r'<a href="(/anomalies\?[^"]*\bnew=1[^"]*)">([\d,]+)(?: new today)?</a>', html)
        assert links
        for link, figure in links[:6]:
            assert counted(client, link.replace("&amp;", "&")) == int(figure.replace(",", "")), link
    assert NOTHING_NEW not in html


def test_with_a_day_before_pages_say_since_when(second_day: Served) -> None:
    old, new = (
        first_of(second_day.settings, f"SELECT min(anomaly_id) FROM anomalies WHERE first_seen_day {which} day")
        for which in ("<", "=")
    )
    with second_day.client("steward") as client:
        assert f"since {BEFORE}" in Parsed(client.get(f"/anomalies/{old}").text).text
        assert f"since {DAY}" in Parsed(client.get(f"/anomalies/{new}").text).text
        # Its first day had none before.
        assert f"since {BEFORE}" not in Parsed(client.get(f"/anomalies/{old}?day={BEFORE}").text).text


def test_the_shares_of_a_case_by_group_lead_to_their_anomalies(service: Served) -> None:
    of_several = "SELECT case_id FROM members WHERE state = 'open' GROUP BY 1 HAVING count(DISTINCT responsible) > 1"
    case = first_of(service.settings, f"SELECT min(case_id) FROM ({of_several})")
    with service.client("steward") as client:
        html = client.get(f"/cases/{case}").text
        links = re.findall(r'<a href="(/anomalies\?case=\w+&amp;responsible=[^"]+)">([\d,]+)</a>', html)
        assert len(links) > 1
        for link, figure in links:
            assert counted(client, link.replace("&amp;", "&")) == int(figure.replace(",", "")), link
        assert "who answers:" in Parsed(client.get(links[0][0].replace("&amp;", "&")).text).text


def counted(client: httpx.Client, address: str) -> int:
    figures = re.findall(r"([\d,]+) anomal(?:y|ies)\.", Parsed(client.get(address).text).text)
    return int(figures[0].replace(",", "")) if figures else 0
