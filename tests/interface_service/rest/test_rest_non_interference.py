"""What a principal may not see makes no difference to an answer: not to a byte, a header, a count or an error of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from odd_rows import ANOMALIES, INSTANCES, OWNERS, anomaly, instance, odd_home, owner
from served import Served, served

HIDDEN = "asset_management/metric_instances"
# Of each request and its time; the cursor names a snapshot's file, which no two lakes have in common.
NOT_COMPARED = ("date", "x-request-id")
CURSOR = re.compile(rb"cursor=[A-Za-z0-9_-]+")


def tables(other: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows that differ in nothing that ``trading_department`` or ``steward`` may see of them."""
    mine = [anomaly(number) for number in range(0, 30, 2)]
    foreign = [
        anomaly(number + (100 if other else 0), severity="critical") for number in range(1, 50 if other else 30, 2)
    ]
    # Values of metrics that nobody has graded are hidden.
    series = [
        instance(number, value_mean=number * 7.0, sample_max=9.0) if other and number % 3 else instance(number)
        for number in range(30)
    ]
    mixed = [row for pair in zip(reversed(mine), reversed(foreign), strict=False) for row in pair]
    left = [row for row in mine + foreign if row not in mixed]
    return {
        ANOMALIES: mixed + left if other else mine + foreign,
        INSTANCES: list(reversed(series)) if other else series,
        # First letters are shown, phones are as keyed hashes: those stay.
        OWNERS: [owner(number, email=f"person{number}@{'other' if other else 'example'}.org") for number in range(5)],
        HIDDEN: [instance(number, system="asset_management", unit="B" if other else "A") for number in range(4)],
    }


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[tuple[Served, Served]]:
    folder = tmp_path_factory.mktemp("both")
    one, two = (odd_home(folder / str(other), project_root, tables(other)) for other in (False, True))
    with served(one) as first, served(two) as second:
        yield first, second


FORMATS = ("json", "ndjson", "csv", "arrow", "xlsx", "parquet")
ROWS = [f"/v1/datasets/{dataset}/rows" for dataset in (ANOMALIES, INSTANCES, OWNERS, HIDDEN)]
PATHS = [
    "/v1/datasets",
    *(f"/v1/datasets/{dataset}" for dataset in (ANOMALIES, INSTANCES, OWNERS, HIDDEN, "quality/nothing")),
    *(f"{path}?limit={limit}&format={form}" for path in ROWS for limit in ("7", "all") for form in FORMATS),
    *(f"{path}?limit=3&sort=-day,system" for path in ROWS),
    *(f"{path}?day=last&limit=1000" for path in ROWS),
    *(f"{path}?version=1&limit=2" for path in ROWS),
    *(f"{path}?version=99" for path in ROWS),
    *(f"{path}?where=system:eq:asset_management" for path in ROWS),
    *(f"{path}?where=value_mean:gt:1" for path in ROWS),
    *(f"{path}?where=email:eq:person1@other.org" for path in ROWS),
    *(f"{path}?where=phone:eq:13800000001" for path in ROWS),
    *(f"{path}?where=tier:eq:x" for path in ROWS),
    *(f"{path}?sort=phone&limit=2" for path in ROWS),
    *(f"{path}?column=phone&limit=2" for path in ROWS),
    *(f"{path.removesuffix('/rows')}/changes?first=0&last=1" for path in ROWS),
    *(f"/v1/anomalies/a{number:03}" for number in (1, 2, 101, 999)),
    "/v1/anomalies?where=severity:eq:critical&limit=1000",
    "/v1/anomalies?limit=2&format=arrow",
    "/v1/rankings/system",
    "/v1/statistics",
    "/v1/cases",
    "/v1/cases/000000000000",
    "/v1/scorecards",
    "/v1/root-causes",
    "/v1/admission",
    "/v1/waivers",
    "/v1/control/standard_metrics",
    "/v1/nothing",
]


def compared(answer: httpx.Response) -> tuple[int, bytes, dict[str, str]]:
    content = CURSOR.sub(b"cursor=*", answer.content)
    headers = {name: value for name, value in answer.headers.items() if name not in NOT_COMPARED}
    if "link" in headers:
        headers["link"] = CURSOR.sub(b"cursor=*", headers["link"].encode()).decode()
        if content != answer.content:
            # The tag is that of the bytes, the cursor among them.
            del headers["etag"]
    return answer.status_code, content, headers


@pytest.mark.parametrize("principal", ["trading_department", "steward"])
def test_what_is_out_of_sight_changes_no_answer(both: tuple[Served, Served], principal: str) -> None:
    # Of what a steward sees, only the contacts of owners differ.
    paths = [path for path in PATHS if principal != "steward" or OWNERS in path]
    with both[0].client(principal) as one, both[1].client(principal) as two:
        seen = 0
        for path in paths:
            first, second = one.get(path), two.get(path)
            assert first.status_code < 500, (path, first.text)
            assert compared(first) == compared(second), path
            seen += first.status_code == 200 and b"other.org" not in first.content
            assert b"13800000" not in first.content
        assert seen > (40 if principal != "steward" else 15)
        for what in ("comment", "merge"):
            posted = [client.post(f"/v1/cases/abc/{what}", json={}) for client in (one, two)]
            assert compared(posted[0]) == compared(posted[1])


def test_the_two_homes_do_differ(both: tuple[Served, Served]) -> None:
    with both[0].client("auditor") as one, both[1].client("auditor") as two:
        for path in ROWS:
            assert one.get(path).content != two.get(path).content
