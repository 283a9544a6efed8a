"""Each check of a clause: what passes, what fails, and what it says where it cannot tell."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from compliance_cases import clause, write_access, write_clauses
from deltalake import DeltaTable
from lower_rooms import SAYS_NOTHING, Rooms
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm

from omgov_assets.access_control.audit_anchor import KEY_VARIABLE
from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.audit_night import ANCHORS_VARIABLE, work_on_audit
from omgov_assets.data_lake import lake as lake_module
from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_analysis.compliance import COMPLIANCE, clauses_of, evaluate_compliance, read_compliance

Row = dict[str, Any]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LEDGER, EVENTS, AUDIT, CAUSES = "admission/ledger", "exceptions/case_events", "audit/access", "quality/anomaly_causes"
INSTANCES = f"{SYSTEM}/metric_instances"


class Desk:
    """The small firm with clauses, whose lake tests write themselves."""

    def __init__(self, firm: SmallFirm, repository: Path) -> None:
        self.firm, self.repository = firm, repository
        self.rooms = Rooms(firm.lake)

    @property
    def lake(self) -> Lake:
        return self.firm.lake

    def verdicts(self, *clauses: Row, day: date = DAY, **environment: str) -> dict[str, Row]:
        """Verdicts of clauses by subject."""
        write_clauses(self.firm.settings.project, *clauses)
        lake_module._handles.clear()
        governance = load_governance(self.firm.settings.project)
        evaluate_compliance(self.lake, governance, day, self.firm.settings.audit, environment)
        return {row["subject"]: row for row in read_compliance(self.lake, day)}

    def outcomes(self, *clauses: Row, day: date = DAY, **environment: str) -> dict[str, str]:
        return {subject: row["verdict"] for subject, row in self.verdicts(*clauses, day=day, **environment).items()}

    def decide(self, decisions: int) -> None:
        with open_log(self.lake, self.firm.settings.audit) as log:
            for number in range(decisions):
                log.record(Decision(NOON + timedelta(seconds=number), "li", CAUSES, "deny", "no policy permits it"))


@pytest.fixture
def desk(tmp_path: Path, project_root: Path) -> Desk:
    return Desk(build_small_firm(tmp_path), project_root)


# --- grading ---------------------------------------------------------------------------------------------------------

GRADED = clause("every_column_is_graded")


def test_what_ships_is_graded_column_by_column(desk: Desk) -> None:
    found = desk.verdicts(GRADED)
    assert {row["verdict"] for row in found.values()} == {"passed"}
    assert {COMPLIANCE, AUDIT, "cmdb/owners", "cmdb/owners as delivered", f"{INSTANCES}_quarantine"} <= found.keys()


def test_a_column_without_a_level_fails_its_dataset_by_name(desk: Desk) -> None:
    path = desk.firm.settings.dataset_contracts / "owners.odcs.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    for column in contract["schema"][0]["properties"]:
        if column["name"] in ("phone", "email"):
            del column["classification"]
    path.write_text(yaml.safe_dump(contract, allow_unicode=True), encoding="utf-8")
    found = desk.verdicts(GRADED)
    assert {subject for subject, row in found.items() if row["verdict"] != "passed"} == {"cmdb/owners"}
    assert found["cmdb/owners"]["explanation"] == "without a level, and so held to be 4: email, phone"


def test_a_delivery_is_graded_by_its_own_contract(desk: Desk) -> None:
    path = desk.firm.system_folder / "metric_definitions.odcs.yaml"
    path.write_text(path.read_text().replace('        classification: "1"\n', "", 1), encoding="utf-8")
    found = desk.verdicts(GRADED)
    failed = [subject for subject, row in found.items() if row["verdict"] == "failed"]
    assert failed == [f"{SYSTEM}/metric_definitions as delivered"]


def test_only_what_a_clause_applies_to_is_checked(desk: Desk) -> None:
    assert desk.outcomes(GRADED | {"applies_to": ["*/owners"]}) == {
        "cmdb/owners": "passed",
        "cmdb/owners as delivered": "passed",
    }


# --- masking ---------------------------------------------------------------------------------------------------------


def masking(**parameters: Any) -> Row:
    return clause("columns_above_grade_are_masked", parameters={"grade": 3} | parameters)


def test_columns_above_a_clearance_are_masked_or_left_out(desk: Desk, project_root: Path) -> None:
    write_access(desk.firm, project_root)
    found = desk.verdicts(masking())
    assert {row["verdict"] for row in found.values()} == {"passed"}
    assert found["cmdb/owners"]["observed"] == "masked: phone; left out: email"
    assert found["cmdb/owners"]["required"].endswith("for roles cleared for less than 3")


def test_who_is_cleared_but_must_not_see_fails_by_name_and_policy(desk: Desk, project_root: Path) -> None:
    write_access(desk.firm, project_root)
    found = desk.verdicts(masking(roles=["engineer"]))
    assert found["cmdb/owners"]["verdict"] == "failed"
    said = found["cmdb/owners"]["explanation"]
    assert "email (engineer for quality, by all-read)" in said
    # A policy that masks it for all but audits, and one for those.
    policies = (
        '@id("all-read") permit (principal, action, resource);\n'
        '@id("never") forbid (principal, action == Action::"see", resource) when { resource.grade >= 3 };\n'
    )
    write_access(desk.firm, project_root, policies)
    assert desk.verdicts(masking(roles=["engineer"]))["cmdb/owners"]["verdict"] == "passed"


def test_a_level_that_somebody_lowers_does_not_open_a_named_column(desk: Desk, project_root: Path) -> None:
    write_access(desk.firm, project_root)
    named = masking(columns=["cmdb/owners.name"])
    assert "name" in desk.verdicts(named)["cmdb/owners"]["observed"]
    path = desk.firm.settings.dataset_contracts / "owners.odcs.yaml"
    contract = yaml.safe_load(path.read_text(encoding="utf-8"))
    for column in contract["schema"][0]["properties"]:
        column["classification"] = "1"
    path.write_text(yaml.safe_dump(contract, allow_unicode=True), encoding="utf-8")
    found = desk.verdicts(masking(columns=["cmdb/owners.phone"]))["cmdb/owners"]
    assert (found["verdict"], found["observed"]) == ("failed", "visible: phone")


def test_a_firm_that_permits_nothing_shows_nothing(desk: Desk, project_root: Path) -> None:
    write_access(desk.firm, project_root, '@id("none") forbid (principal, action, resource);\n')
    found = desk.verdicts(masking(roles=["engineer"]))
    assert {row["verdict"] for row in found.values()} == {"passed"}
    assert found["cmdb/owners"]["observed"] == "left out: email, phone"


def test_without_roles_or_such_columns_masking_is_not_evaluated(desk: Desk, project_root: Path) -> None:
    assert desk.outcomes(masking()) == {"all": "not_evaluated"}
    write_access(desk.firm, project_root)
    none = masking() | {"applies_to": [CAUSES]}
    assert desk.outcomes(none) == {"all": "not_evaluated"}
    assert desk.verdicts(none)["all"]["explanation"] == "no column is graded 3 or higher"


# --- retention -------------------------------------------------------------------------------------------------------


def keeping(*tables: str, days: int = 30) -> Row:
    return clause("records_are_kept", applies_to=list(tables), parameters={"days": days})


def write_days(desk: Desk, table: str, *ago: int) -> None:
    for number in ago:
        desk.rooms.write(table, DAY - timedelta(days=number), [{}])


def append_days(desk: Desk, table: str, *ago: int) -> None:
    schema = desk.lake.schema(table)
    row = {column.name: SAYS_NOTHING.get(column.sql_type) for column in schema.columns if column.required}
    for number in ago:
        day = DAY - timedelta(days=number)
        desk.lake.append(table, day, pa.Table.from_pylist([row | {"day": day}], schema.arrow))


def test_a_young_table_passes_for_what_is_there_and_says_since_when(desk: Desk) -> None:
    write_days(desk, LEDGER, 3, 2, 0)
    found = desk.verdicts(keeping(LEDGER))[LEDGER]
    assert (found["verdict"], found["observed"]) == ("passed", "3 days since 2026-11-17")
    assert "holds records since 2026-11-17 only" in found["explanation"]
    assert found["data_versions"] == '{"admission/ledger": 3}'


def test_a_day_that_has_gone_within_the_period_fails(desk: Desk) -> None:
    write_days(desk, LEDGER, 40, 35, 3, 2, 0)
    delta = DeltaTable(desk.lake.root / LEDGER)
    delta.delete("day = '2026-10-16'")  # 35 days ago: out of the period
    assert desk.outcomes(keeping(LEDGER)) == {LEDGER: "passed"}
    delta.delete("day = '2026-11-18'")
    found = desk.verdicts(keeping(LEDGER))[LEDGER]
    assert (found["verdict"], found["explanation"]) == ("failed", "gone: 2026-11-18 (version 7)")


def test_files_that_were_deleted_behind_the_table_fail(desk: Desk) -> None:
    write_days(desk, LEDGER, 3, 0)
    for file in (desk.lake.root / LEDGER).rglob("*.parquet"):
        if "day=2026-11-17" in str(file):
            file.unlink()
    found = desk.verdicts(keeping(LEDGER))[LEDGER]
    assert (found["verdict"], found["explanation"]) == ("failed", "data files are not on disk: 1 of 2026-11-17")


def test_a_table_that_must_only_grow_fails_where_it_did_not(desk: Desk) -> None:
    append_days(desk, EVENTS, 3, 0)
    assert desk.outcomes(keeping(EVENTS)) == {EVENTS: "passed"}
    delta = DeltaTable(desk.lake.root / EVENTS)
    delta.alter.set_table_properties({"delta.appendOnly": "false"})
    write_days(desk, EVENTS, 3)
    said = desk.verdicts(keeping(EVENTS))[EVENTS]["explanation"]
    assert "rows were taken out or replaced in version 4" in said
    assert "delta.appendOnly" in said


def test_what_nobody_can_tell_any_more_is_not_evaluated(desk: Desk) -> None:
    write_days(desk, LEDGER, 400, 2, 0)
    delta = DeltaTable(desk.lake.root / LEDGER)
    delta.create_checkpoint()
    for number in range(delta.version()):
        (desk.lake.root / LEDGER / "_delta_log" / f"{number:020d}.json").unlink()
    # Commits are of the time they were made at: the clause looks back from a day after it.
    day = datetime.now(UTC).date() + timedelta(days=10)
    found = desk.verdicts(keeping(LEDGER, days=3000), day=day)[LEDGER]
    assert found["verdict"] == "not_evaluated"
    assert "delta.logRetentionDuration" in found["explanation"]
    assert desk.outcomes(keeping(LEDGER, days=5), day=day) == {LEDGER: "passed"}


def test_a_table_without_records_is_not_evaluated(desk: Desk) -> None:
    assert desk.outcomes(keeping(LEDGER, AUDIT)) == {LEDGER: "not_evaluated", AUDIT: "not_evaluated"}
    write_days(desk, LEDGER, -1)
    assert desk.verdicts(keeping(LEDGER))[LEDGER]["explanation"] == f"there is no record of {DAY} or before"


# --- audit -----------------------------------------------------------------------------------------------------------

WHOLE = clause("audit_is_whole")


def test_an_audit_passes_where_it_is_whole_and_fails_where_it_is_not(desk: Desk) -> None:
    assert desk.outcomes(WHOLE) == {AUDIT: "not_evaluated"}
    desk.decide(3)
    work_on_audit(desk.lake, desk.firm.settings.audit, {}, NOON)
    found = desk.verdicts(WHOLE)[AUDIT]
    assert (found["verdict"], found["observed"]) == ("passed", "head is entry 3")
    (file,) = (desk.lake.root / AUDIT).rglob("*.parquet")
    file.unlink()
    assert desk.outcomes(WHOLE) == {AUDIT: "failed"}


def test_an_audit_that_was_begun_anew_fails_by_its_anchors(desk: Desk, tmp_path: Path) -> None:
    environment = {ANCHORS_VARIABLE: str(tmp_path / "anchors"), KEY_VARIABLE: "k" * 32}
    desk.decide(3)
    work_on_audit(desk.lake, desk.firm.settings.audit, environment, NOON)
    assert desk.outcomes(WHOLE, **environment) == {AUDIT: "passed"}
    elsewhere = Desk(desk.firm.at(tmp_path / "other"), desk.repository)
    elsewhere.decide(2)
    assert elsewhere.outcomes(WHOLE) == {AUDIT: "passed"}
    found = elsewhere.verdicts(WHOLE, **environment)[AUDIT]
    assert found["verdict"] == "failed"
    assert "entry 3 was known" in found["explanation"]


# --- capacity --------------------------------------------------------------------------------------------------------

TESTED = {"system": SYSTEM, "value": 130.0, "unit": "{order}/s", "tested_on": date(2026, 10, 1), "how": "a replay"}


def headroom(*capacities: Row, **parameters: Any) -> Row:
    wanted = {"metric": "trading.order.rate", "factor": 2, "capacities": list(capacities)} | parameters
    return clause("capacity_headroom", parameters=wanted, applies_to=[SYSTEM])


def write_loads(desk: Desk, day: date, *values: float | None, metric: str = "trading.order.rate") -> None:
    rows = [{"instance_id": f"i{n}", "metric": metric, "value_max": value} for n, value in enumerate(values)]
    desk.rooms.write(INSTANCES, day, rows)


def test_capacity_is_compared_with_the_highest_day_of_the_whole_system(desk: Desk) -> None:
    write_loads(desk, DAY - timedelta(days=200), 25.5, 39.5)
    write_loads(desk, DAY, 60.0, 1.0)
    write_loads(desk, DAY + timedelta(days=1), 1000.0)
    found = desk.verdicts(headroom(TESTED))[SYSTEM]
    assert (found["verdict"], found["observed"]) == (
        "passed",
        "capacity 130 {order}/s, peak 65 {order}/s on 2026-05-04",
    )
    assert found["explanation"].startswith("2.00 times the peak; peak over 2 days")
    found = desk.verdicts(headroom(TESTED | {"value": 129.0}))[SYSTEM]
    assert found["verdict"] == "failed"
    assert found["explanation"].startswith("only 1.98 times the peak: 1 {order}/s are missing")


def test_the_highest_instance_can_be_what_counts(desk: Desk) -> None:
    write_loads(desk, DAY, 60.0, 30.0)
    assert desk.outcomes(headroom(TESTED)) == {SYSTEM: "failed"}
    found = desk.verdicts(headroom(TESTED, peak_of="instance"))[SYSTEM]
    assert (found["verdict"], found["observed"]) == (
        "passed",
        "capacity 130 {order}/s, peak 60 {order}/s on 2026-11-20",
    )


def test_a_capacity_is_converted_to_the_unit_of_the_metric(desk: Desk) -> None:
    write_loads(desk, DAY, 1.0)
    minutely = TESTED | {"value": 120.0, "unit": "{order}/min"}
    assert desk.verdicts(headroom(minutely))[SYSTEM]["observed"].startswith("capacity 2 {order}/s")
    assert desk.outcomes(headroom(minutely)) == {SYSTEM: "passed"}


def test_faulty_values_are_left_out_and_counted(desk: Desk) -> None:
    write_loads(desk, DAY, 60.0, None, -3.0, 5_000_001.0, float("inf"), float("nan"))
    found = desk.verdicts(headroom(TESTED))[SYSTEM]
    assert found["verdict"] == "passed"
    assert "5 values without a unit or outside the valid range left out" in found["explanation"]


@pytest.mark.parametrize(
    ("values", "capacities", "said"),
    [
        ((60.0,), (), "no capacity is declared; peak over 1 day"),
        ((), (TESTED,), "no value of trading.order.rate is in the lake"),
        ((None,), (TESTED,), "no value of trading.order.rate is in the lake; 1 value without"),
        ((60.0,), (TESTED | {"tested_on": date(2026, 11, 21)},), "was tested on 2026-11-21 only"),
    ],
)
def test_without_a_load_or_a_capacity_nothing_is_said(
    desk: Desk, values: tuple[float | None, ...], capacities: tuple[Row, ...], said: str
) -> None:
    write_loads(desk, DAY, *values)
    found = desk.verdicts(headroom(*capacities))[SYSTEM]
    assert found["verdict"] == "not_evaluated"
    assert said in found["explanation"]


def test_systems_are_those_that_deliver_instances_where_none_is_named(desk: Desk) -> None:
    named = headroom(TESTED)
    del named["applies_to"]
    assert desk.outcomes(named) == {SYSTEM: "not_evaluated"}


# --- all of them -----------------------------------------------------------------------------------------------------


def test_a_day_that_is_checked_again_is_replaced(desk: Desk) -> None:
    write_loads(desk, DAY, 60.0)
    desk.verdicts(headroom(TESTED), GRADED | {"id": "two", "applies_to": [CAUSES]})
    version = desk.lake.version(COMPLIANCE)
    desk.verdicts(headroom(TESTED), GRADED | {"id": "two", "applies_to": [CAUSES]})
    assert desk.lake.version(COMPLIANCE) == version, "nothing has changed"
    assert list(desk.verdicts(GRADED | {"applies_to": [CAUSES]})) == [CAUSES]
    assert desk.verdicts() == {}


def test_a_row_says_what_it_was_judged_by(desk: Desk) -> None:
    said = {"verified": True, "verified_by": "li", "verified_on": date(2026, 11, 2)}
    (row,) = desk.verdicts(GRADED | said | {"applies_to": [CAUSES]}).values()
    assert row["title_zh"] == "条款"
    assert (row["source"], row["source_url"]) == ("A law, No. 1, article 7", "https://law.example.com/1")
    assert (row["verified"], row["verified_on"]) == (True, date(2026, 11, 2))
    assert (row["day"], row["document"]) == (DAY, "governance/compliance/rules.yaml")
    assert "li" not in row.values(), "who verified it stays in the document"
    before = row["policy_hash"]
    (row,) = desk.verdicts(GRADED | {"applies_to": [CAUSES]}).values()
    assert row["policy_hash"] != before


def test_a_clause_is_as_its_worst_subject(desk: Desk) -> None:
    write_days(desk, LEDGER, 0)
    desk.verdicts(keeping(LEDGER, AUDIT), GRADED | {"id": "two", "applies_to": [CAUSES]})
    first, second = clauses_of(read_compliance(desk.lake, DAY))
    assert (first["clause_id"], first["verdict"], first["passed"], first["not_evaluated"]) == (
        "one", "not_evaluated", 1, 1,
    )  # fmt: skip
    assert [row["subject"] for row in first["rows"]] == [AUDIT]
    assert (second["clause_id"], second["verdict"], second["rows"]) == ("two", "passed", [])
