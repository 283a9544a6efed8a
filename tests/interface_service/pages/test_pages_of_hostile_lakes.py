"""Pages over lakes whose names were written by somebody hostile, and over lakes that differ only out of sight."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from browsing import Parsed, chromium, crawl, overflow, window
from nights import DAY, Home
from served import Served, copy_of, served, token_of

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

HOSTILE = (
    "<script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "'); DROP TABLE anomalies; --",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eabc\u2066 right to left \u200f",
    "javascript:alert(1)",
    "../../../etc/passwd?x=1&y=#z",
    "很长的名字" * 60,
    "x" * 500,
)
# Texts of each table that a page shows, and that come from outside or from people.
PLANTED = {
    "quality/anomalies": ("subject_key", "metric", "source_metric", "ci_id", "collector", "observed", "expected"),
    "quality/violations": ("subject_key", "observed", "expected", "policy_id"),
    "quality/anomaly_rankings": ("label",),
    "exceptions/cases": ("assigned_to", "ticket", "scope", "waiver_reason"),
    "exceptions/case_members": ("metric", "ci_id"),
    "admission/ledger": ("reason", "file_name", "contract_version", "model_version"),
    "quality/check_results": ("expected", "reason"),
    "cmdb/support_groups": ("name",),
}


def rewrite(settings: Settings, table: str, select: str) -> None:
    """Put the answer to a query over the view ``kept`` in place of a day of a table."""
    lake, day = Lake(settings.lake, settings.dataset_contracts), date.fromisoformat(DAY)
    with lake.connect() as con:
        lake.register(con, "kept", table, day)
        columns = ", ".join(f'"{name}"' for name in lake.schema(table).names)
        lake.replace(table, day, con.sql(f"SELECT {columns} FROM ({select})").to_arrow_table())


@pytest.fixture(scope="module")
def hostile(night_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home in which every third row of each table bears hostile names."""
    home = copy_of(night_home, tmp_path_factory.mktemp("hostile") / "home")
    settings = Settings(home.path, home.project)
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in HOSTILE)
    for table, columns in PLANTED.items():
        planted = ", ".join(
            f"CASE WHEN row_number() OVER () % 3 = 0 "
            f"THEN [{names}][1 + (row_number() OVER () + {number}) % {len(HOSTILE)}] ELSE {column} END AS {column}"
            for number, column in enumerate(columns)
        )
        rewrite(settings, table, f"SELECT kept.* REPLACE ({planted}) FROM kept")
    return settings


def test_hostile_names_are_text_wherever_they_are_shown(hostile: Settings) -> None:
    with served(hostile) as service, service.client("steward") as client:
        pages = crawl(client, most=35)
        for name in HOSTILE:
            for path in (f"/anomalies?ci={quote(name)}", f"/anomalies?q={quote(name)}", f"/cases?owner={quote(name)}"):
                pages[path] = client.get(path).text
            # Who asks by such a name is told of nothing, in the page's own words.
            for path in (f"/cases/{quote(name, safe='')}", f"/rankings/{quote(name, safe='')}"):
                assert client.get(path).status_code in (404, 405), path
        for address, html in pages.items():
            for tag, attributes in Parsed(html).elements:
                assert tag not in ("script", "img", "iframe", "object", "base", "style"), address
                assert not [name for name in attributes if name.startswith("on") or name == "style"], address
                assert not str(attributes.get("href", "")).startswith("javascript:"), address
        shown = " ".join(Parsed(html).text for html in pages.values())
        assert "document.title='taken'" in shown
        assert "{{ 7 * 7 }}{% raw %}" in shown
        with chromium() as browser, window(browser, (390, 844)) as page:
            page.context.add_cookies([{"name": "omgov", "value": token_of(hostile, "steward"), "url": service.url}])
            for address in list(pages)[:14]:
                page.goto(service.url + address)
                assert "taken" not in page.title()
                assert overflow(page) == 0, address


# --- out of sight ----------------------------------------------------------------------------------------------------


def answers(service: Served, token: str) -> dict[str, bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=service.url, headers=headers, timeout=60) as client:
        found = {address: html.encode() for address, html in crawl(client, most=22).items()}
        for path in (
            "/cases",
            "/admission",
            "/policies",
            "/anomalies/0123456789abcdef",
            "/anomalies?system=cmdb",
            "/anomalies/download?format=csv",
            "/anomalies/download?format=xlsx",
        ):
            answer = client.get(path)
            found[path] = answer.content + str(answer.status_code).encode()
    return found


def test_two_lakes_that_differ_out_of_sight_give_the_same_bytes(night_home: Home, tmp_path: Path) -> None:
    own = "system IN ('securities_trading', 'institutional_trading')"
    one = Settings(copy_of(night_home, tmp_path / "one").path, night_home.project)
    token = token_of(one, "trading_department")
    other = Settings(copy_of(Home(one.home, one.project), tmp_path / "other").path, one.project)
    changes: dict[str, Callable[[], None]] = {
        "quality/anomalies": lambda: rewrite(
            other, "quality/anomalies", f"FROM kept WHERE {own} OR hash(anomaly_id) % 3 = 0 ORDER BY hash(subject_key)"
        ),
        "admission/ledger": lambda: rewrite(other, "admission/ledger", f"FROM kept WHERE {own}"),
        "exceptions/cases": lambda: rewrite(other, "exceptions/cases", "FROM kept WHERE hash(case_id) % 2 = 0"),
        "quality/anomaly_rankings": lambda: rewrite(
            other, "quality/anomaly_rankings", "SELECT * REPLACE (label || '!' AS label) FROM kept"
        ),
        "quality/check_results": lambda: rewrite(other, "quality/check_results", "FROM kept WHERE verdict = 'passed'"),
        "cmdb/configuration_items": lambda: rewrite(
            other, "cmdb/configuration_items", "SELECT * REPLACE (name || '!' AS name) FROM kept"
        ),
    }
    for change in changes.values():
        change()
    shutil.rmtree(other.governed, ignore_errors=True)
    with served(one) as first:
        expected = answers(first, token)
    with served(other) as second:
        found = answers(second, token)
    assert len(expected) > 20
    assert list(found) == list(expected)
    assert {address for address, content in expected.items() if found[address] != content} == set()
