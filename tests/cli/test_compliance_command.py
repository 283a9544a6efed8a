"""``omgov compliance`` by the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from compliance_cases import clause, write_clauses
from deltalake import DeltaTable
from lower_rooms import Rooms
from small_firm import DAY, SmallFirm, build_small_firm
from typer.testing import CliRunner

from omgov_assets.cli import app
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_analysis.compliance import evaluate_compliance

LEDGER = "admission/ledger"


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    firm = build_small_firm(tmp_path)
    kept = clause("records_are_kept", applies_to=[LEDGER, "audit/access"], parameters={"days": 30})
    write_clauses(firm.settings.project, kept)
    Rooms(firm.lake).write(LEDGER, DAY, [{}])
    return firm


def evaluate(firm: SmallFirm) -> None:
    governance = load_governance(firm.settings.project)
    evaluate_compliance(firm.lake, governance, DAY, firm.settings.audit, {})


def run(firm: SmallFirm, *options: str, code: int = 0) -> str:
    folders = ("--home", str(firm.settings.home), "--project", str(firm.settings.project))
    done = CliRunner().invoke(app, ["compliance", *options, *folders])
    assert done.exit_code == code, done.output
    return done.output


def test_a_day_without_a_failure_is_listed_with_what_could_not_be_judged(firm: SmallFirm) -> None:
    evaluate(firm)
    said = run(firm)
    for words in ("one", "not_evaluated", "not verified by a person", "nothing was ever recorded there"):
        assert words in said
    assert "1 of 1 clauses were never compared with their source by a person" in said
    rows = json.JSONDecoder().raw_decode(run(firm, "--format", "json", "--day", DAY.isoformat()))[0]
    assert [(row["subject"], row["verdict"]) for row in rows] == [
        ("audit/access", "not_evaluated"),
        (LEDGER, "passed"),
    ]
    assert run(firm, "--format", "csv").splitlines()[0].startswith("day,clause_id,check_name,subject,verdict")


def test_a_failure_is_exit_code_2(firm: SmallFirm) -> None:
    DeltaTable(firm.lake.root / LEDGER).delete(f"day = '{DAY}'")
    evaluate(firm)
    assert f"gone: {DAY} (version 2)" in run(firm, code=2)


def test_a_day_that_was_never_checked_is_no_clean_day(firm: SmallFirm) -> None:
    assert "run `omgov run" in run(firm, code=1)
    evaluate(firm)
    assert "was not published for 2026-11-21" in run(firm, "--day", "2026-11-21", code=1)
