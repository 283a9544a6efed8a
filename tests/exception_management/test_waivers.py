"""Standing waivers: what they mark, what that does to cases, and that nothing is hidden by them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from case_nights import CASE_RULES, DAYS, Nights, Wrong, assert_invariants
from lower_rooms import Rooms
from typer.testing import CliRunner, Result

from omgov_assets.cli.commands import app
from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.acts import Person
from omgov_assets.exception_management.lifecycle import IllegalActError
from omgov_assets.exception_management.night import update_cases
from omgov_assets.exception_management.reading import CaseFilter, list_cases, list_waivers
from omgov_assets.exception_management.waivers import UnknownWaiverError, end_waiver, grant_waiver
from omgov_assets.quality_analysis.case_tables import WAIVERS

FLAT = {"flat_line"}
WANG = Person("wang", datetime(2026, 11, 10, 9, tzinfo=UTC))
THREE = Wrong({"i0": FLAT, "i1": FLAT, "i2": FLAT}, fields={"i1": {"ci_id": "HOST-2"}, "i2": {"ci_id": "DB-2"}})


@pytest.fixture
def nights(rooms: Rooms) -> Nights:
    nights = Nights(rooms, ["i0", "i1", "i2", "i3"])
    nights.govern(DAYS[0], THREE)
    return nights


def grant(nights: Nights, until: date = DAYS[3], **conditions: str) -> str:
    return grant_waiver(nights.rooms.lake, CASE_RULES, WANG, conditions, "replaced in December", until)


def under(nights: Nights) -> set[str]:
    return {row["subject_key"] for row in nights.members() if row["waiver_id"] is not None}


@pytest.mark.parametrize(
    ("conditions", "waived"),
    [
        ({"ci_id": "HOST-2"}, {"i1"}),
        ({"application_id": "APP-1"}, {"i0"}),
        ({"application_id": "APP-2"}, {"i0", "i1"}),
        ({"support_group_id": "SG-1"}, {"i0"}),
        ({"policy_id": "metric_instances.flat_line"}, {"i0", "i1", "i2"}),
        ({"policy_id": "metric_instances.flat_line", "ci_id": "HOST-1"}, {"i0"}),
        ({"policy_id": "metric_instances.stale_instance"}, set()),
    ],
)
def test_a_waiver_marks_what_meets_all_its_conditions_from_the_next_night_on(
    nights: Nights, conditions: Mapping[str, str], waived: set[str]
) -> None:
    grant(nights, **conditions)
    assert update_cases(nights.rooms.lake, DAYS[0], CASE_RULES).events_added == 0
    assert under(nights) == set()
    nights.govern(DAYS[1], THREE)
    assert under(nights) == waived
    (case,) = nights.cases()
    assert (case["waived_members"], case["open_members"]) == (len(waived), 3)
    assert case["status"] == ("waived" if len(waived) == 3 else "open")
    assert_invariants(nights)


def test_a_case_all_of_whose_members_are_under_waivers_is_waived_until_one_ends(nights: Nights) -> None:
    first = grant(nights, until=DAYS[2], ci_id="HOST-1")
    grant(nights, until=DAYS[5], ci_id="HOST-2")
    grant(nights, until=DAYS[5], ci_id="DB-2")
    told = {}
    for day in DAYS[1:4]:
        nights.govern(day, THREE)
        (case,) = nights.cases()
        told[day] = (case["status"], case["waived_until"], case["waived_by"], case["waiver_id"])
    waived = ("waived", DAYS[2], "wang", first)
    assert told == {DAYS[1]: waived, DAYS[2]: waived, DAYS[3]: ("open", None, None, None)}
    assert (case["due_from_day"], case["waived_members"]) == (DAYS[3], 2)
    assert_invariants(nights)
    for day in DAYS[:4]:
        assert update_cases(nights.rooms.lake, day, CASE_RULES).events_added == 0


def test_a_new_member_that_is_under_no_waiver_ends_the_waiver_of_its_case(nights: Nights) -> None:
    grant(nights, policy_id="metric_instances.flat_line", support_group_id="SG-1")
    only_first = Wrong({"i0": FLAT})
    nights.govern(DAYS[1], only_first)
    (case,) = nights.cases()
    assert case["status"] == "waived"
    nights.govern(DAYS[2], Wrong({"i0": FLAT, "i1": FLAT}, fields=THREE.fields))
    (case,) = nights.cases()
    assert (case["status"], case["open_members"], case["waived_members"]) == ("open", 2, 1)
    # And what comes under it is waived again.
    nights.govern(DAYS[3], only_first)
    assert nights.cases()[0]["status"] == "waived"
    assert_invariants(nights)


def test_a_waiver_hides_nothing(nights: Nights, tmp_path: Path) -> None:
    other = Nights(Rooms(Lake(tmp_path / "other" / "lake", nights.rooms.lake.dataset_contracts)), nights.instances)
    other.govern(DAYS[0], THREE)
    grant(nights, policy_id="metric_instances.flat_line")
    for each in (nights, other):
        each.govern(DAYS[1], THREE)
    for table in ("quality/anomalies", "quality/violations"):
        assert nights.rooms.rows(table, DAYS[1]) == other.rooms.rows(table, DAYS[1])
    ends = nights.govern(DAYS[2], Wrong({}))
    assert ends.open_members == 0
    assert nights.cases()[0]["status"] == "closed"


def test_a_waiver_that_is_ended_holds_no_more_from_the_next_night_on(nights: Nights) -> None:
    made = grant(nights, policy_id="metric_instances.flat_line")
    nights.govern(DAYS[1], THREE)
    end_waiver(nights.rooms.lake, WANG, made[:6], "repaired")
    assert update_cases(nights.rooms.lake, DAYS[1], CASE_RULES).events_added == 0
    assert nights.cases()[0]["status"] == "waived"
    nights.govern(DAYS[2], THREE)
    assert (nights.cases()[0]["status"], under(nights)) == ("open", set())
    with pytest.raises(UnknownWaiverError, match="no standing waiver"):
        end_waiver(nights.rooms.lake, WANG, made, "again")
    assert list_waivers(nights.rooms.lake, DAYS[2]) == []
    (row,) = list_waivers(nights.rooms.lake, DAYS[2], every=True)
    assert (row["state"], row["ended_by"], row["ended_day"]) == ("over", "wang", DAYS[1])


def test_a_claimed_fix_is_verified_whatever_waiver_there_is(nights: Nights) -> None:
    seen = {row["case_id"]: row["last_event_id"] for row in nights.cases()}
    acts.claim_fix(nights.rooms.lake, CASE_RULES, seen, WANG, "restarted")
    grant(nights, policy_id="metric_instances.flat_line")
    nights.govern(DAYS[1], THREE)
    assert nights.cases()[0]["status"] == "fix_claimed"
    nights.govern(DAYS[2], THREE)
    assert nights.cases()[0]["status"] == "reopened"
    nights.govern(DAYS[3], THREE)
    assert nights.cases()[0]["status"] == "waived"
    assert_invariants(nights)


def test_what_no_waiver_can_be_is_refused(nights: Nights) -> None:
    for until in (DAYS[0], DAYS[0].replace(year=2028)):
        with pytest.raises(IllegalActError, match="ends after 2026-11-09"):
            grant(nights, until=until, ci_id="HOST-1")
    for conditions, reason, who in (({}, "r", "w"), ({"owner_id": "O"}, "r", "w"), ({"ci_id": "H"}, " ", "w"),
                                    ({"ci_id": "H"}, "r", "")):  # fmt: skip
        with pytest.raises(ValueError, match=r"say who acts|name what it is for"):
            grant_waiver(
                nights.rooms.lake, CASE_RULES, dataclasses.replace(WANG, name=who), conditions, reason, DAYS[3]
            )
    assert nights.rooms.lake.open(WAIVERS) is None


def test_cases_are_found_by_application_and_group(nights: Nights) -> None:
    lake = nights.rooms.lake
    for wanted, found in (
        (CaseFilter(application_id="APP-1"), 1),
        (CaseFilter(application_id="APP-9"), 0),
        (CaseFilter(group="SG-2"), 1),
        (CaseFilter(group="SG-9"), 0),
    ):
        assert len(list_cases(lake, DAYS[0], wanted)) == found


# The commands


@pytest.fixture
def run(nights: Nights, project_root: Path) -> Any:
    folders = ("--home", str(nights.rooms.lake.root.parent), "--project", str(project_root))

    def command(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["cases", *arguments, *folders], catch_exceptions=False)

    return command


def test_a_standing_waiver_is_shown_first_granted_listed_and_ended(nights: Nights, run: Any) -> None:
    asked = ("waive", "--standing", "--policy", "metric_instances.flat_line", "--until", "2026-12-01",
             "--reason", "until the release", "--as", "wang")  # fmt: skip
    preview = run(*asked)
    assert "would waive 3 open members of 1 cases" in preview.stderr
    assert nights.rooms.lake.open(WAIVERS) is None
    assert run(*asked, "--yes").exit_code == 0
    (row,) = json.loads(run("waivers", "--format", "json").stdout)
    assert (row["policy_id"], row["reason"], row["granted_by"], row["members"]) == (
        "metric_instances.flat_line", "until the release", "wang", 0,
    )  # fmt: skip
    nights.govern(DAYS[1], THREE)
    (row,) = json.loads(run("waivers", "--format", "json").stdout)
    assert row["members"] == 3
    assert run("end-waiver", row["waiver_id"], "--as", "li", "--reason", "repaired").exit_code == 0
    assert json.loads(run("waivers", "--format", "json").stdout) == []


def test_a_standing_waiver_for_nothing_in_particular_is_refused(run: Any) -> None:
    rest = ("--until", "2026-12-01", "--reason", "r", "--as", "w", "--yes")
    for given in (("--type", "flat_line"), (), ("--ci", "HOST-1", "--severity", "warning")):
        result = run("waive", "--standing", *given, *rest)
        assert result.exit_code == 1
        assert "a standing waiver is for a --ci, --application, --group or --policy" in result.stderr
    late = run("waive", "--standing", "--ci", "HOST-1", "--until", "2029-01-01", *rest[2:])
    assert late.exit_code == 2
