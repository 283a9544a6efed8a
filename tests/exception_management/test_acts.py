"""What people do with cases: what is legal, who comes second, and what a night makes of it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from case_nights import CASE_RULES, DAYS, Nights, Wrong, assert_invariants
from lower_rooms import Rooms
from typer.testing import CliRunner, Result

from omgov_assets.cli.commands import app
from omgov_assets.exception_management import acts
from omgov_assets.exception_management.acts import FasterActError, Person, UnknownCaseError
from omgov_assets.exception_management.events import Act, log_acts
from omgov_assets.exception_management.lifecycle import IllegalActError
from omgov_assets.exception_management.night import update_cases

FLAT = {"flat_line"}
THREE = Wrong({"i0": FLAT, "i1": FLAT, "i2": FLAT}, fields={"i2": {"ci_id": "DB-1"}})
WANG = Person("wang", datetime(2026, 11, 10, 9, tzinfo=UTC))
LI = Person("li", datetime(2026, 11, 10, 10, tzinfo=UTC))


@pytest.fixture
def nights(rooms: Rooms) -> Nights:
    """One case of three members, after its first night."""
    nights = Nights(rooms, ["i0", "i1", "i2", "i3"])
    nights.govern(DAYS[0], THREE)
    return nights


def seen(nights: Nights, *case_ids: str) -> dict[str, str]:
    rows = {row["case_id"]: row["last_event_id"] for row in nights.cases()}
    return {name: rows[name] for name in case_ids} if case_ids else rows


def only(nights: Nights) -> dict[str, Any]:
    (case,) = nights.cases()
    return case


def test_a_claimed_fix_is_closed_by_verification_alone(nights: Nights) -> None:
    acts.acknowledge(nights.rooms.lake, CASE_RULES, seen(nights), WANG)
    acts.assign(nights.rooms.lake, CASE_RULES, seen(nights), WANG, "li", None, "")
    assert (only(nights)["status"], only(nights)["assigned_to"]) == ("in_progress", "li")
    acts.claim_fix(nights.rooms.lake, CASE_RULES, seen(nights), LI, "agent restarted")
    assert (only(nights)["status"], only(nights)["claimed_day"]) == ("fix_claimed", DAYS[0])
    # Not judged: nothing is verified. The day of the fix itself may still be bad.
    nights.govern(DAYS[1], Wrong({}, unjudged=FLAT))
    assert only(nights)["status"] == "fix_claimed"
    nights.govern(DAYS[2], Wrong({}))
    assert (only(nights)["status"], only(nights)["recurrences"]) == ("closed", 0)
    assert_invariants(nights)


def test_a_claim_that_does_not_hold_is_refuted_after_the_day_of_the_fix(nights: Nights) -> None:
    acts.claim_fix(nights.rooms.lake, CASE_RULES, seen(nights), LI, "")
    nights.govern(DAYS[1], THREE)
    assert only(nights)["status"] == "fix_claimed"
    nights.govern(DAYS[2], Wrong({"i0": FLAT}))
    assert (only(nights)["status"], only(nights)["recurrences"], only(nights)["claimed_day"]) == ("reopened", 1, None)
    # Time goes on from when it was opened.
    assert only(nights)["due_from_day"] == DAYS[0]
    assert_invariants(nights)


def test_a_waiver_marks_until_it_ends_and_the_case_is_due_anew(nights: Nights) -> None:
    acts.waive(nights.rooms.lake, CASE_RULES, seen(nights), WANG, "replaced in December", DAYS[9])
    for day in DAYS[1:11]:
        nights.govern(day, THREE)
        case = only(nights)
        assert (case["status"] == "waived") == (day <= DAYS[9])
        assert (case["open_members"], case["is_overdue"]) == (3, False)
    assert (case["status"], case["due_from_day"], case["waived_until"]) == ("open", DAYS[10], None)
    assert_invariants(nights)


def test_a_waiver_ends_after_the_last_day_and_within_the_longest(nights: Nights) -> None:
    for until in (DAYS[0], DAYS[0].replace(year=2028)):
        with pytest.raises(IllegalActError, match="ends after 2026-11-09"):
            acts.waive(nights.rooms.lake, CASE_RULES, seen(nights), WANG, "", until)
    assert only(nights)["status"] == "open"


def test_a_case_of_another_group_is_reassigned_with_its_trail_and_new_anomalies_still_find_it(nights: Nights) -> None:
    acts.assign(nights.rooms.lake, CASE_RULES, seen(nights), WANG, None, "SG-2", "the network's")
    case = only(nights)
    assert (case["status"], case["responsible"], case["responsible_kind"]) == ("reassigned", "SG-2", "assigned")
    nights.govern(DAYS[1], Wrong({**THREE.anomalies, "i3": FLAT}))
    assert (only(nights)["members"], only(nights)["responsible"]) == (4, "SG-2")


def test_a_case_is_given_to_no_group_that_the_cmdb_does_not_know(nights: Nights) -> None:
    with pytest.raises(IllegalActError, match="there is no support group SG-9"):
        acts.assign(nights.rooms.lake, CASE_RULES, seen(nights), WANG, None, "SG-9", "a slip of the pen")
    assert only(nights)["status"] == "open"


def test_an_illegal_act_names_the_legal_ones_and_does_nothing(nights: Nights) -> None:
    acts.claim_fix(nights.rooms.lake, CASE_RULES, seen(nights), LI, "")
    before = nights.log()
    with pytest.raises(
        IllegalActError, match=r"is fix claimed: ack is not possible; possible are assign --to-group, .*waive"
    ):
        acts.acknowledge(nights.rooms.lake, CASE_RULES, seen(nights), WANG)
    nights.govern(DAYS[1], Wrong({}))
    with pytest.raises(IllegalActError, match=r"is closed: claim-fix is not possible; possible are comment"):
        acts.claim_fix(nights.rooms.lake, CASE_RULES, seen(nights), LI, "")
    assert nights.log()[: len(before)] == before
    with pytest.raises(UnknownCaseError, match="no case nothing"):
        acts.acknowledge(nights.rooms.lake, CASE_RULES, {"nothing": ""}, WANG)


def test_of_two_people_at_once_one_wins_and_the_other_is_told(nights: Nights) -> None:
    looked_at = seen(nights)
    acts.acknowledge(nights.rooms.lake, CASE_RULES, looked_at, WANG)
    with pytest.raises(FasterActError, match="has changed since it was looked at: acknowledged by wang"):
        acts.claim_fix(nights.rooms.lake, CASE_RULES, looked_at, LI, "")
    assert only(nights)["status"] == "acknowledged"


def test_a_night_between_looking_and_acting_is_told_as_well(nights: Nights) -> None:
    looked_at = seen(nights)
    nights.govern(DAYS[1], Wrong({"i0": FLAT}))
    with pytest.raises(FasterActError, match="updated by night"):
        acts.acknowledge(nights.rooms.lake, CASE_RULES, looked_at, WANG)


def test_a_part_that_is_split_off_is_followed_by_itself_and_merged_again(nights: Nights) -> None:
    (old,) = seen(nights)
    made = acts.split(nights.rooms.lake, CASE_RULES, seen(nights), WANG, {"ci_id": ["DB-1"]}, "a database")
    counted = {row["case_id"]: (row["open_members"], row["split_from"]) for row in nights.cases()}
    assert counted == {old: (2, None), made: (1, old)}
    # New anomalies go to the case that was there, also those that a person would have split off.
    nights.govern(DAYS[1], Wrong({**THREE.anomalies, "i3": FLAT}, fields=THREE.fields))
    assert {row["case_id"]: row["members"] for row in nights.cases()} == {old: 3, made: 1}
    nights.govern(DAYS[2], Wrong({"i2": FLAT, "i0": FLAT}, fields=THREE.fields))
    acts.merge(nights.rooms.lake, CASE_RULES, seen(nights), WANG, made, "one fault after all")
    found = {row["case_id"]: row for row in nights.cases()}
    assert (found[old]["status"], found[old]["members"], found[old]["merged_into"]) == ("merged", 0, made)
    assert (found[made]["members"], found[made]["open_members"]) == (4, 2)
    assert_invariants(nights)
    # What comes back goes to the case that took it over; so does what is new.
    nights.govern(DAYS[3], Wrong({name: FLAT for name in ("i0", "i1", "i2", "i3")}, fields=THREE.fields))
    assert {row["case_id"]: row["open_members"] for row in nights.cases()} == {made: 4}
    assert_invariants(nights)
    for day in DAYS[:4]:
        assert update_cases(nights.rooms.lake, day, CASE_RULES).events_added == 0
    assert {row["case_id"]: row["open_members"] for row in nights.cases()} == {made: 4}


def test_a_split_leaves_some_and_takes_some(nights: Nights) -> None:
    for which in ({"ci_id": ["nowhere"]}, {"system": ["securities"]}):
        with pytest.raises(IllegalActError, match="name some, and leave some"):
            acts.split(nights.rooms.lake, CASE_RULES, seen(nights), WANG, which, "")


def test_what_people_did_outlives_a_corrected_night(nights: Nights) -> None:
    acts.acknowledge(nights.rooms.lake, CASE_RULES, seen(nights), WANG)
    acts.comment(nights.rooms.lake, CASE_RULES, seen(nights), WANG, "at it", "OPS-7")
    nights.govern(DAYS[1], THREE)
    summary = nights.govern(DAYS[0], Wrong({"i0": FLAT, "i1": FLAT}))
    assert summary.acts_without_effect == 0
    for day in DAYS[:2]:
        (case,) = nights.cases(day)
        assert (case["status"], case["ticket"]) == ("acknowledged", "OPS-7")
    assert nights.cases(DAYS[0])[0]["members"] == 2
    assert_invariants(nights)


def test_acts_that_a_corrected_night_leaves_nothing_to_act_on_stay_in_the_log(nights: Nights) -> None:
    acts.acknowledge(nights.rooms.lake, CASE_RULES, seen(nights), WANG)
    summary = nights.govern(DAYS[0], Wrong({}))
    assert (summary.acts_without_effect, summary.cases) == (1, 0)
    assert [row["acted_by"] for row in nights.log() if row["kind"] == "acknowledged"] == ["wang"]
    # The night was right after all: so is what was done about it.
    nights.govern(DAYS[0], THREE)
    assert only(nights)["status"] == "acknowledged"


def test_an_act_that_a_killed_process_left_in_the_log_alone_counts(nights: Nights) -> None:
    (case_id,) = seen(nights)
    with nights.rooms.lake.connect() as con:
        log_acts(nights.rooms.lake, con, DAYS[0], [Act(case_id, "acknowledged", {})], WANG.at, "wang")
    assert only(nights)["status"] == "open"
    acts.comment(nights.rooms.lake, CASE_RULES, {case_id: last_of(nights)}, LI, "seen", None)
    assert only(nights)["status"] == "acknowledged"
    assert_invariants(nights)


def last_of(nights: Nights) -> str:
    return str(nights.log()[-1]["event_id"])


# The commands


class Desk:
    """The command line on the lake of a test."""

    def __init__(self, nights: Nights, project_root: Path) -> None:
        self.folders = ("--home", str(nights.rooms.lake.root.parent), "--project", str(project_root))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, ["cases", *arguments, *self.folders], catch_exceptions=False)

    def done(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def desk(nights: Nights, project_root: Path) -> Desk:
    return Desk(nights, project_root)


def test_cases_are_listed_by_filters_in_all_formats(nights: Nights, desk: Desk) -> None:
    (case_id,) = seen(nights)
    matching = [
        (),
        ("--ci", "DB-1"),
        ("--type", "flat_line", "--severity", "warning"),
        (case_id[:5],),
        ("--policy", "metric_instances.flat_line"),
        ("--responsible", "SG-1"),
        ("--owner", "OWN-1"),
    ]
    for given in matching:
        (row,) = json.loads(desk.done("list", *given, "--format", "json"))
        assert (row["case_id"], row["open_members"]) == (case_id, 3)
    for given in (("--ci", "HOST-9"), ("--status", "closed"), ("--overdue",), ("--system", "other")):
        assert json.loads(desk.done("list", *given, "--format", "json")) == []
    assert case_id in desk.done("list")
    (line,) = csv.DictReader(io.StringIO(desk.done("list", "--format", "csv")))
    assert line["status"] == "open"


def test_a_filter_previews_and_acts_only_when_told(nights: Nights, desk: Desk) -> None:
    result = desk.run("ack", "--type", "flat_line", "--as", "wang")
    assert "1 cases, 3 open members; --yes does it" in result.stderr
    assert only(nights)["status"] == "open"
    desk.done("ack", "--type", "flat_line", "--as", "wang", "--yes")
    assert only(nights)["status"] == "acknowledged"
    refused = desk.run("ack", "--type", "flat_line", "--as", "li", "--yes")
    assert refused.exit_code == 2
    assert "ack is not possible; possible are assign --to, assign --to-group" in refused.stderr
    assert "nothing was done" in refused.stderr


def test_every_act_has_its_command_and_the_history_shows_it(nights: Nights, desk: Desk) -> None:
    (case_id,) = seen(nights)
    by = ("--as", "wang")
    desk.done("comment", case_id, *by, "--text", "at it", "--ticket", "OPS-7")
    desk.done("assign", case_id[:6], *by, "--to", "li")
    desk.done("split", case_id, *by, "--ci", "DB-1", "--reason", "a database")
    other = next(name for name in seen(nights) if name != case_id)
    desk.done("merge", other, "--into", case_id, *by, "--reason", "one fault")
    desk.done("claim-fix", case_id, *by, "--text", "restarted")
    desk.done("waive", case_id, *by, "--reason", "until the release", "--until", "2026-12-01")
    history = json.loads(desk.done("show", case_id, "--format", "json"))
    assert [(event["event"], event["by"]) for event in history] == [
        ("opened", "night"),
        *((kind, "wang") for kind in
          ("commented", "linked", "taken_on", "split", "took_over", "fix_claimed", "waived")),
    ]  # fmt: skip
    shown = desk.done("show", case_id)
    assert "until the release" in shown
    assert "OPS-7" in shown
    assert_invariants(nights)


def test_who_acts_on_what_was_seen_before_is_told(nights: Nights, desk: Desk) -> None:
    ((case_id, event_id),) = seen(nights).items()
    desk.done("ack", case_id, "--as", "wang", "--if-last", event_id)
    late = desk.run("claim-fix", case_id, "--as", "li", "--if-last", event_id)
    assert late.exit_code == 2
    assert "acknowledged by wang" in late.stderr


def test_what_is_wrong_with_a_command_is_said(nights: Nights, desk: Desk) -> None:
    assert "no case 'zzz'" in desk.run("show", "zzz").stderr
    assert "say --to PERSON or --to-group GROUP" in desk.run("assign", "zzz", "--as", "wang").stderr
    assert "name members by" in desk.run("split", "zzz", "--as", "w", "--reason", "r").stderr
    (case_id,) = seen(nights)
    assert "say who acts" in desk.run("ack", case_id, "--as", " ").stderr
    bad = desk.run("waive", case_id, "--as", "w", "--reason", "r", "--until", "2026-11-09")
    assert bad.exit_code == 2
    assert "ends after 2026-11-09" in bad.stderr


# The remediation kit

FORMULA = '=HYPERLINK("http://evil","x")'


@pytest.fixture
def exported(rooms: Rooms, project_root: Path) -> Desk:
    """A case whose members observed what a spreadsheet would run, delivered in a known file."""
    nights = Nights(rooms, ["i0", "i1", "i2"])
    batch = {"system": "securities", "dataset": "metric_instances", "batch_id": "batch", "decision": "admitted"}
    rooms.write("admission/ledger", DAYS[0], [batch | {"file_name": "metric_instances/inventory.csv"}])
    told = {"observed": FORMULA, "expected": "between 0 and 1", "record_no": 7}
    nights.govern(DAYS[0], Wrong({"i0": FLAT, "i1": FLAT}, fields={"i0": told}))
    nights.govern(DAYS[1], Wrong({"i0": FLAT}, unjudged=(), fields={"i0": told}))
    return Desk(nights, project_root)


def test_an_export_says_where_in_the_source_and_runs_no_formula(exported: Desk, tmp_path: Path) -> None:
    (case,) = json.loads(exported.done("list", "--format", "json"))
    file = tmp_path / "case.csv"
    exported.done("export", case["case_id"], "--as", "steward", "--out", str(file))
    with file.open(encoding="utf-8-sig", newline="") as opened:
        (row,) = csv.DictReader(opened)
    assert (row["subject_key"], row["source_file"], row["source_record"]) == (
        "i0",
        "metric_instances/inventory.csv",
        "7",
    )
    assert (row["observed"], row["expected"]) == ("'" + FORMULA, "between 0 and 1")
    every = tmp_path / "case.json"
    exported.done("export", case["case_id"], "--as", "steward", "--out", str(every), "--all")
    rows = json.loads(every.read_text(encoding="utf-8"))
    assert [(row["subject_key"], row["state"]) for row in rows] == [("i0", "open"), ("i1", "resolved")]
    assert (
        exported.run("export", case["case_id"], "--as", "steward", "--out", str(every), "--group", "SG-9").exit_code
        == 1
    )
    exported.done(
        "export",
        case["case_id"],
        "--as",
        "steward",
        "--out",
        str(every),
        "--all",
        "--group",
        "SG-1",
        "--owner",
        "OWN-1",
    )
    assert len(json.loads(every.read_text(encoding="utf-8"))) == 2
    # JSON is not opened by a spreadsheet: it says what was observed.
    assert rows[0]["observed"] == FORMULA


def test_a_spreadsheet_holds_texts_alone_and_is_the_same_each_time(exported: Desk, tmp_path: Path) -> None:
    (case,) = json.loads(exported.done("list", "--format", "json"))
    files = [tmp_path / f"{name}.xlsx" for name in "ab"]
    for file in files:
        exported.done("export", case["case_id"], "--as", "steward", "--out", str(file))
    assert files[0].read_bytes() == files[1].read_bytes()
    with zipfile.ZipFile(files[0]) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "'=HYPERLINK" in sheet
    assert "inventory.csv" in sheet


@pytest.mark.parametrize(
    ("principal", "said"), [("trading_department", "may not read exceptions/case_members"), ("ghost", "may not read")]
)
def test_members_of_cases_leave_for_those_alone_who_may_read_them(
    exported: Desk, tmp_path: Path, principal: str, said: str
) -> None:
    (case,) = json.loads(exported.done("list", "--format", "json"))
    file = tmp_path / "case.csv"
    result = exported.run("export", case["case_id"], "--as", principal, "--out", str(file))
    assert (result.exit_code, said in result.stderr) == (2, True)
    assert not file.exists()


def test_an_export_of_another_kind_is_refused(exported: Desk, tmp_path: Path) -> None:
    (case,) = json.loads(exported.done("list", "--format", "json"))
    result = exported.run("export", case["case_id"], "--as", "steward", "--out", str(tmp_path / "case.pdf"))
    assert result.exit_code == 1
    assert "ends in .csv, .xlsx, .json" in result.stderr
