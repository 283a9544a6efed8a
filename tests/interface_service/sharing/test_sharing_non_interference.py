"""Two lakes that differ only in what a reader may not see give the same answers, byte for byte."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sharing_desk import ANOMALIES, ANOMALIES_URL, FIRST_DAY, OWNERS, SECOND_DAY, TABLES, SharingDesk, anomaly

OWNERS_URL = f"{TABLES}/cmdb/tables/owners"
PUBLIC = "https://omgov.example.com"


def owner(number: int, **values: Any) -> dict[str, Any]:
    known = {"system": "cmdb", "owner_id": f"o{number}", "active": True, "_batch_id": "b", "_record_no": number}
    return known | {"name": "Ann", "email": "ann@example.com", "phone": "1"} | values


def answers(client: httpx.Client, table: str) -> list[tuple[Any, ...]]:
    """Whatever a reader can ask of a table, links and files included; without what commits say of their time."""
    given = []

    def asked(method: str, url: str, **named: Any) -> httpx.Response:
        answer = client.request(method, url, **named)
        headers = {name: value for name, value in answer.headers.items() if name not in ("date", "x-request-id")}
        given.append((answer.status_code, sorted(headers.items()), answer.content))
        return answer

    asked("GET", "/sharing/shares/quality/all-tables")
    asked("GET", f"{table}/version")
    asked("HEAD", table)
    asked("GET", f"{table}/metadata")
    asked("GET", f"{table}/metadata", headers={"delta-sharing-capabilities": "responseformat=delta"})
    asked("POST", f"{table}/query", json={"version": 99})
    asked("POST", f"{table}/query", json={"limitHint": 1})
    asked("POST", f"{table}/query", json={"predicateHints": [f"day = '{SECOND_DAY}'"]})
    # A day of which nothing is in sight, with and without rows out of sight.
    asked("POST", f"{table}/query", json={"predicateHints": [f"day = '{SECOND_DAY + timedelta(days=1)}'"]})
    found = asked("POST", f"{table}/query", json={})
    for line in found.text.splitlines()[2:]:
        parts = urlsplit(json.loads(line)["file"]["url"])
        url = f"{parts.path}?{parts.query}"
        asked("GET", url)
        asked("HEAD", url)
        asked("GET", url, headers={"Range": "bytes=-100"})
        asked("GET", url, headers={"Range": "bytes=100000000-"})
    changes = client.get(f"{table}/changes", params={"startingVersion": 0})
    for line in map(json.loads, changes.text.splitlines()):
        if "cdf" in line:
            # When a commit was made is told to whoever may read the table (docs/decisions).
            line["cdf"].pop("timestamp")
            parts = urlsplit(line["cdf"]["url"])
            asked("GET", f"{parts.path}?{parts.query}")
        given.append((line,))
    return given


@pytest.mark.parametrize(("principal", "table"), [("trading_department", ANOMALIES_URL), ("steward", OWNERS_URL)])
def test_what_is_out_of_sight_makes_no_difference(
    principal: str, table: str, tmp_path: Path, project_root: Path
) -> None:
    one, other = (SharingDesk(tmp_path / name, project_root) for name in ("one", "other"))
    one.stopped_at = other.stopped_at = one.now
    one.share(ANOMALIES, OWNERS, principals=("steward", "trading_department"))
    bearer = {"Authorization": f"Bearer {one.token(principal)}"}
    hidden = {"system": "asset_management"}
    one.fill(ANOMALIES, FIRST_DAY, [anomaly(1), anomaly(2)])
    one.fill(ANOMALIES, SECOND_DAY, [anomaly(4)])
    one.fill(ANOMALIES, SECOND_DAY, [anomaly(3)])
    one.fill(ANOMALIES, SECOND_DAY + timedelta(days=1), [])
    one.fill(OWNERS, FIRST_DAY, [owner(1), owner(2)])
    other.fill(ANOMALIES, FIRST_DAY, [anomaly(9, **hidden), anomaly(2), anomaly(1)])
    other.fill(ANOMALIES, SECOND_DAY, [anomaly(7, **hidden, observed="x"), anomaly(4)])
    other.fill(ANOMALIES, SECOND_DAY, [anomaly(7, **hidden, observed="y"), anomaly(3)])
    other.fill(ANOMALIES, SECOND_DAY + timedelta(days=1), [anomaly(8, **hidden)])
    other.fill(OWNERS, FIRST_DAY, [owner(2, email="a.lee@example.com"), owner(1, email="amy@another.example.com")])
    given = []
    for desk in (one, other):
        with desk.service(public_url=PUBLIC) as asks:
            client = asks(None)
            client.headers.update(bearer)
            given.append(answers(client, table))
        # The other home has the same shares, tokens and keys.
        if desk is one:
            shutil.copytree(one.settings.home / "access", other.settings.home / "access")
    assert len(given[0]) > 12
    for first, second in zip(*given, strict=True):
        assert first == second
