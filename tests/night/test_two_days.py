"""Two days in a row: what is new, what is gone, since when, and what a late correction of the first day changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lake_content import lake_content, rows_of
from nights import Home, make_firm

pytestmark = [pytest.mark.xdist_group("two_days"), pytest.mark.long]

FIRST, SECOND = "2026-11-20", "2026-11-21"


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Home:
    home = Home(tmp_path_factory.mktemp("two_days"), project_root)
    make_firm(home, seed=11, days=2, instances=10_000)
    for day in (FIRST, SECOND):
        home.omgov("run", "--day", day, expected=(2,))
    return home


def test_both_days_are_found_out(two_days: Home) -> None:
    for day in (FIRST, SECOND):
        result = json.loads(two_days.omgov("evaluate", "--day", day, "--format", "json").stdout)
        assert [row for row in result if row["f1"] < 0.99] == []


def test_an_anomaly_is_known_since_the_day_it_began(two_days: Home) -> None:
    lake = two_days.path / "lake"
    first = {key for (key,) in rows_of(lake, "quality/anomalies", "anomaly_id", f"day = '{FIRST}'")}
    second = dict(rows_of(lake, "quality/anomalies", "anomaly_id, first_seen_day::VARCHAR", f"day = '{SECOND}'"))
    assert set(second.values()) == {FIRST, SECOND}
    assert all((since == FIRST) == (key in first) for key, since in second.items())


def test_rankings_show_the_change_to_the_day_before(two_days: Home) -> None:
    rows = {
        day: {r["key"]: r for r in json.loads(two_days.omgov("rankings", "--day", day, "--format", "json").stdout)}
        for day in (FIRST, SECOND)
    }
    assert all(row["previous_anomalies"] is None for row in rows[FIRST].values())
    for key, row in rows[SECOND].items():
        if key in rows[FIRST]:
            assert row["previous_anomalies"] == rows[FIRST][key]["anomalies"]
            assert row["change"] == row["anomalies"] - row["previous_anomalies"]


def test_running_the_first_day_again_leaves_both_days_as_they_were(two_days: Home) -> None:
    before = lake_content(two_days.path / "lake")
    two_days.omgov("run", "--day", FIRST, expected=(2,))
    assert lake_content(two_days.path / "lake") == before
