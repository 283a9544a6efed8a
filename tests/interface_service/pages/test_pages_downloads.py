"""Files of the anomalies page: what the page shows and counts, on record as it is, in the places that there are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import openpyxl
import pytest
from browsing import Parsed
from nights import DAY, Home
from served import Served, copy_of, opener, served, token_of

from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.limits import Limits
from omgov_assets.interface_service.service import Service

FILTERS = {
    "all": "",
    "text": "q=cpu",
    "two_severities": "severity=critical&severity=warning",
    "two_severities_and_text": "severity=critical&severity=info&q=host",
    "no_owner_of_a_system": "owner=none&system=securities_trading",
    "case": "case={case}",
    "case_and_group": "case={case}&responsible={responsible}",
    "new_without_a_day_before": "new=1&severity=warning",
    "nothing": "ci=none-such",
}


def counted(html: str) -> int:
    """How many anomalies a page says that it shows."""
    figures = re.findall(r"([\d,]+) anomal(?:y|ies)\.", Parsed(html).text)
    return int(figures[0].replace(",", "")) if figures else 0


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def a_case(settings: Settings) -> dict[str, str]:
    """A case with open members of two groups, and one of these."""
    lake = Lake(settings.lake, settings.dataset_contracts)
    with lake.connect() as con:
        lake.register(con, "members", "exceptions/case_members", date.fromisoformat(DAY))
        found = con.execute(
            "SELECT case_id, min(responsible) FROM members WHERE state = 'open' GROUP BY 1 "
            "HAVING count(DISTINCT responsible) > 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        ).fetchall()
    ((case, responsible),) = found
    return {"case": case, "responsible": responsible}


@pytest.mark.parametrize("principal", ["steward", "trading_department"])
@pytest.mark.parametrize("name", list(FILTERS))
def test_a_file_holds_as_many_as_the_page_counts(service: Served, name: str, principal: str) -> None:
    query = FILTERS[name].format(**a_case(service.settings))
    with service.client(principal) as client:
        page = client.get(f"/anomalies?{query}").text
        rows = rows_of(client.get(f"/anomalies/download?{query}"))
        assert len(rows) == counted(page)
        assert (len(rows) > 0) == (
            name not in ("nothing", "new_without_a_day_before")
            and not (principal == "trading_department" and name.startswith("case"))
        )
        # The page's own link, with the page's day, leads to the same.
        links = [link for link in Parsed(page).links if link.startswith("/anomalies/download?")]
        assert [link.partition("format=")[2].partition("&")[0] for link in links] == (["csv", "xlsx"] if rows else [])
        for link in links[:1]:
            assert f"day={DAY}" in link
            assert rows_of(client.get(link)) == rows
        # In the order of the page.
        first = re.findall(r"/anomalies/([0-9a-f]{16})\?", page)
        assert [row["anomaly_id"] for row in rows[: len(first)]] == first


def test_a_file_comes_by_the_cookie_of_the_page_and_under_a_name(service: Served) -> None:
    cookie = {"omgov": token_of(service.settings, "steward")}
    with httpx.Client(base_url=service.url, cookies=cookie, timeout=60) as client:
        sheet = client.get("/anomalies/download?format=xlsx&severity=critical")
        assert sheet.headers["content-disposition"] == f'attachment; filename="omgov-anomalies-{DAY}.xlsx"'
        assert sheet.headers["cache-control"] == "no-store"
        lines = list(openpyxl.load_workbook(io.BytesIO(sheet.content), read_only=True)["rows"].values)
        rows = rows_of(client.get("/anomalies/download?format=csv&severity=critical"))
        assert lines[0] == tuple(rows[0])
        assert len(lines) == len(rows) + 1
        for path, status in (("format=pdf", 400), ("day=soon", 400), (f"case={'x' * 501}", 400)):
            answer = client.get(f"/anomalies/download?{path}")
            assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    with service.client() as client:
        asked = client.get("/anomalies/download?format=csv")
        assert asked.headers["location"] == "/sign-in?next=%2Fanomalies%2Fdownload%3Fformat%3Dcsv"


def test_a_file_is_on_record_as_the_page_is_and_holds_no_more_columns_than_are_seen(service: Served) -> None:
    with service.client("trading_department") as client:
        recorded = list[list[tuple[object, ...]]]()
        for path in ("/anomalies?q=cpu", "/anomalies?q=cpu", "/anomalies/download?q=cpu"):
            with AuditLog(service.settings.audit) as log:
                before, _ = log.head()
            answer = client.get(path)
            with AuditLog(service.settings.audit) as log:
                fields = [entry.fields for entry in log.entries(before)]
            recorded.append(
                [
                    (one["principal"], one["dataset"], one["decision"], one["row_count"], one["columns"])
                    for one in fields
                ]
            )
        rows = rows_of(answer)
        theirs = {column["name"] for column in client.get("/v1/datasets/quality/anomalies").json()["columns"]}
    assert recorded[2] == recorded[1]
    assert ("quality/anomalies", "allow") in {(one[1], one[2]) for one in recorded[2]}
    assert set(rows[0]) - {"owner", "support_group"} <= theirs


def test_files_have_the_places_of_answers_with_all_rows(night_home: Home, tmp_path: Path) -> None:
    settings = Settings(copy_of(night_home, tmp_path / "home").path, night_home.project)
    limits = Limits(whole_answers=2, whole_answers_each=1)
    opened = list[Service]()

    @contextmanager
    def kept() -> Iterator[Service]:
        with opener(settings, limits)() as service:
            opened.append(service)
            yield service

    with served(settings, limits, kept) as running, running.client("steward") as client:
        places = opened[0].whole_answers
        with places.taken("steward"):
            own = client.get("/anomalies/download")
        with places.taken("engineer"), places.taken("auditor"):
            all_taken = client.get("/anomalies/download")
        for answer, status in ((own, 429), (all_taken, 503)):
            assert (answer.status_code, answer.headers["retry-after"]) == (status, "5")
            assert "Too many files are being made at present." in Parsed(answer.text).text
        # Each leaves its place behind, whether it was taken, asked for by its head alone, or could not be given.
        assert client.head("/anomalies/download").status_code == 200
        assert client.get("/anomalies/download?day=soon").status_code == 400
        assert rows_of(client.get("/anomalies/download"))
        assert rows_of(client.get("/anomalies/download"))
