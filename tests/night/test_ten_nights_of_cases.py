"""Ten nights of cases, with incidents, and people at work: every member is what it is in truth, and few are told.

The truth says of every subject that ever had an anomaly whether it is open, resolved or withdrawn, and whether that is
known of the day.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from case_nights import Nights, assert_invariants
from lower_rooms import Rooms
from nights import Home
from ten_nights import AGAIN, DAYS, MISSING, SILENT, SILENT_SYSTEM, GovernedNights

from omgov_assets.anomaly_alert.alerts import DIGEST
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.exception_management.member_evaluation import evaluate_members
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.governance import load_governance

pytestmark = [pytest.mark.xdist_group("ten_nights"), pytest.mark.long]

Row = tuple[Any, ...]

# What must have happened to cases and members, or the invariants hold of nothing.
BY_PEOPLE = (
    "acknowledged", "taken_on", "reassigned", "fix_claimed", "waived", "commented", "linked", "split", "merged",
)  # fmt: skip
BY_NIGHT = (
    "member_added", "member_resolved", "member_withdrawn", "member_reopened",
    "closed", "reopened", "claim_refuted", "waiver_ended", "overdue",
)  # fmt: skip


@pytest.fixture(scope="module")
def home(governed: GovernedNights) -> Home:
    return governed.home


@pytest.fixture(scope="module")
def rules(home: Home) -> CaseRules:
    return CaseRules.of(load_governance(home.project))


@pytest.fixture(scope="module")
def lake(home: Home) -> Lake:
    settings = Settings(home.path, home.project)
    return Lake(settings.lake, settings.dataset_contracts)


@pytest.fixture(scope="module")
def nights(lake: Lake, rules: CaseRules) -> Nights:
    return Nights(Rooms(lake), (), (), rules)


def truth(home: Home, query: str) -> list[Row]:
    """Rows of a query over ``members``, the truth of all nights."""
    with duckdb.connect() as con:
        con.read_parquet(f"{home.path}/truth/members/*.parquet").create_view("members")
        return con.execute(query).fetchall()


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_member_is_what_it_is_in_truth(home: Home, lake: Lake, rules: CaseRules, day: date) -> None:
    found = evaluate_members(lake, day, rules, home.path / "truth")
    assert found.differing[:20] == []
    assert found.subjects >= 2_000


def test_the_truth_holds_all_that_can_become_of_a_member(home: Home) -> None:
    steps = truth(
        home,
        """
        SELECT before, state, count(*) FROM (
            SELECT *, lag(state) OVER (
                PARTITION BY system, dataset, anomaly_type, subject_kind, subject_key ORDER BY day
            ) AS before FROM members
        ) WHERE before <> state GROUP BY ALL ORDER BY ALL
        """,
    )
    many = {(before, state): number for before, state, number in steps}
    assert set(many) == {("open", "resolved"), ("open", "withdrawn"), ("resolved", "open"), ("withdrawn", "open")}
    assert min(many.values()) >= 30
    ((new,),) = truth(home, f"SELECT count(*) FROM members WHERE state_day = day AND day > '{DAYS[0]}'")
    assert new > 500
    ((left,),) = truth(
        home,
        f"SELECT count(DISTINCT subject_key) FROM members "
        f"WHERE anomaly_type = 'ci_owner_inactive' AND state_day > '{DAYS[0]}'",
    )
    assert left >= 6, "owners left who were accountable for some CIs each"
    unknown = truth(home, "SELECT DISTINCT day FROM members WHERE NOT is_verified ORDER BY 1")
    assert {day for (day,) in unknown} == set(MISSING)


def test_what_was_not_delivered_closes_nothing(home: Home) -> None:
    rows = truth(
        home,
        f"SELECT state, is_verified FROM members WHERE day = '{SILENT}' AND system = '{SILENT_SYSTEM}' "
        "AND dataset = 'metric_instances' AND anomaly_type <> 'not_delivered'",
    )
    assert len(rows) > 300
    assert set(rows) == {("open", False)}


def test_the_command_line_says_so(home: Home) -> None:
    done = home.omgov("evaluate", "--members", "--day", str(DAYS[9]), "--format", "json")
    assert json.loads(done.stdout) == []
    assert "subjects have their true state" in done.stderr


def test_a_truth_that_is_another_is_told_with_exit_code_1(home: Home, tmp_path: Path) -> None:
    day = DAYS[3]
    (tmp_path / "members").mkdir()
    with duckdb.connect() as con:
        con.read_parquet(f"{home.path}/truth/members/{day}.parquet").create_view("members")
        (open_ones,) = con.execute("SELECT min(subject_key), count(*) FROM members WHERE state = 'open'").fetchall()
        ((others,),) = con.execute("SELECT count(*) FROM members WHERE state <> 'open'").fetchall()
        # One of those that are open is resolved, and of the others nothing is known.
        con.execute(
            "CREATE TABLE other AS SELECT * REPLACE (if(subject_key = $key, 'resolved', state) AS state) FROM members "
            "WHERE state = 'open'",
            {"key": open_ones[0]},
        )
        ((changed,),) = con.execute("SELECT count(*) FROM other WHERE state = 'resolved'").fetchall()
        con.table("other").write_parquet(str(tmp_path / "members" / f"{day}.parquet"))
    arguments = ("evaluate", "--members", "--day", str(day), "--truth", str(tmp_path), "--format", "json")
    told = json.loads(home.omgov(*arguments, expected=(1,)).stdout)
    assert changed >= 1
    assert Counter(row["true_state"] for row in told) == {"resolved": changed, None: others}


def test_the_invariants_hold_whatever_people_did(nights: Nights) -> None:
    done = nights.kinds()
    assert {kind for kind in (*BY_PEOPLE, *BY_NIGHT) if done[kind] == 0} == set()
    assert_invariants(nights)


def test_a_night_that_is_run_again_adds_no_event_and_tells_nothing_twice(governed: GovernedNights) -> None:
    again = governed.told[len(DAYS) :]
    assert [row["day"] for row in again] == [str(day) for day in AGAIN]
    assert [(row["events"], row["messages"]) for row in again] == [(0, 0)] * len(AGAIN)
    assert all(row["events"] > 0 and row["messages"] > 0 for row in governed.told[: len(DAYS)])


def test_nobody_gets_two_digests_of_a_night_and_all_messages_are_few(home: Home, lake: Lake) -> None:
    with sqlite3.connect(home.path / "alerts" / "outbox.db") as outbox:
        messages = [json.loads(content) for (content,) in outbox.execute("SELECT content FROM messages")]
    digests = Counter(
        (alert["labels"]["recipient_kind"], alert["labels"]["recipient"], alert["labels"]["day"])
        for message in messages
        for alert in message
        if alert["labels"]["alertname"] == DIGEST
    )
    assert {day for *_, day in digests} == {str(day) for day in DAYS}
    assert max(digests.values()) == 1
    with lake.connect() as con:
        lake.register(con, "anomalies", "quality/anomalies", None)
        ((anomalies,),) = con.execute("SELECT count(*) FROM anomalies").fetchall()
    assert 0 < len(messages) <= 0.01 * anomalies
