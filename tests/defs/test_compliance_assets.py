"""The audit and compliance in the asset graph: every night, after the cases and before the report."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from compliance_cases import clause, write_clauses
from small_firm import DAY, SmallFirm

from omgov_assets.access_control.audit_chain import Decision
from omgov_assets.access_control.audit_lake import AUDIT, open_log
from omgov_assets.definitions import build_defs
from omgov_assets.defs.jobs import INVENTORY, NIGHTLY

KEPT = clause("records_are_kept", applies_to=["admission/ledger"], parameters={"days": 30})
NEVER = clause("records_are_kept", "two", applies_to=["exceptions/waivers"], parameters={"days": 30})


def govern(job: str = NIGHTLY) -> dg.ExecuteInProcessResult:
    return (
        build_defs()
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=DAY.isoformat(),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )


def check_of(result: dg.ExecuteInProcessResult, name: str) -> dg.AssetCheckEvaluation:
    (found,) = (one for one in result.get_asset_check_evaluations() if one.check_name == name)
    return found


def decide(firm: SmallFirm) -> None:
    with open_log(firm.lake, firm.settings.audit) as log:
        log.record(Decision(datetime(2026, 11, 20, tzinfo=UTC), "li", "cmdb/owners", "deny", "no policy permits it"))


def test_a_night_without_audit_and_clauses_passes_and_makes_none(firm: SmallFirm) -> None:
    firm.deliver_all()
    result = govern()
    assert result.success
    assert check_of(result, "audit_is_whole").description == "no decision was ever recorded"
    assert check_of(result, "clauses_hold").description == "governance/compliance/ holds no clause"
    assert check_of(result, "audit_is_whole").passed
    assert check_of(result, "clauses_hold").passed
    assert not firm.settings.audit.exists()
    assert firm.lake.version("quality/compliance") is None
    assert not (firm.settings.report / DAY.isoformat() / "compliance.html").exists()


def test_a_night_moves_decisions_anchors_them_and_says_what_clauses_came_to(
    firm: SmallFirm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMGOV_AUDIT_ANCHORS", str(tmp_path / "anchors"))
    monkeypatch.setenv("OMGOV_AUDIT_KEY", "k" * 32)
    write_clauses(firm.settings.project, KEPT, NEVER)
    firm.deliver_all()
    decide(firm)
    forgotten, asked_for = (firm.settings.governed / f"{name}.parquet" for name in ("forgotten", "asked_for"))
    forgotten.parent.mkdir()
    for file, days in ((forgotten, 8), (asked_for, 6)):
        file.touch()
        os.utime(file, (time.time() - days * 86_400,) * 2)
    result = govern()
    assert (forgotten.exists(), asked_for.exists()) == (False, True)
    assert result.success
    order = [event.node_name for event in result.get_step_success_events()]
    assert order.index("exceptions__cases") < order.index("audit_access") < order.index("quality__compliance")
    assert order.index("quality__compliance") < order.index("quality__governance_report")
    (moved,) = result.asset_materializations_for_node("audit_access")
    assert moved.metadata["entries_moved"].value == 1
    assert moved.metadata["anchor"].value == f"entry 1 is anchored in {tmp_path / 'anchors'}"
    assert firm.lake.days(AUDIT) == [DAY]
    assert check_of(result, "audit_is_whole").passed
    found = check_of(result, "clauses_hold")
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description == "0 of 2 verdicts failed, 1 could not be made"
    (row,) = found.metadata["found"].records
    assert (row.data["clause_id"], row.data["verdict"], row.data["verified"]) == ("two", "not_evaluated", False)
    (made,) = result.asset_materializations_for_node("quality__compliance")
    assert {name: made.metadata[name].value for name in ("clauses", "passed", "clauses_not_verified_by_a_person")} == {
        "clauses": 2, "passed": 1, "clauses_not_verified_by_a_person": 2,
    }  # fmt: skip
    page = (firm.settings.report / DAY.isoformat() / "compliance.html").read_text(encoding="utf-8")
    assert "exceptions/<wbr>waivers" in page


def test_a_broken_audit_is_an_error_that_keeps_the_report_from_nobody(firm: SmallFirm) -> None:
    firm.deliver_all()
    decide(firm)
    govern()
    for file in (firm.lake.root / AUDIT).rglob("*.parquet"):
        file.unlink()
    result = govern()
    assert result.success
    found = check_of(result, "audit_is_whole")
    assert (found.passed, found.severity, found.blocking) == (False, dg.AssetCheckSeverity.ERROR, False)
    records = [record.data for record in found.metadata["found"].records]
    assert {"lake"} <= {record["place"] for record in records}
    assert "quality__governance_report" in [event.node_name for event in result.get_step_success_events()]
    # The inventory run goes along the chain, and moves nothing.
    inventory = govern(INVENTORY)
    assert not check_of(inventory, "audit_is_whole").passed
    assert inventory.asset_materializations_for_node("audit_access") == []
