"""Compliance rules: what the firm's clauses say, and that no faulty one is taken for less than it is."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from compliance_cases import clause, write_access, write_clauses
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm

from omgov_assets.model_management.compliance_rules import RetentionClause
from omgov_assets.model_management.control import DOCUMENTS, publish_documents, published_rows
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import load_governance

GRADED = "every_column_is_graded"
KEPT = "records_are_kept"
MASKED = "columns_above_grade_are_masked"
CAPACITY = "capacity_headroom"
LEDGER = {"applies_to": ["admission/ledger"], "parameters": {"days": 184}}
RATE = {"metric": "trading.order.rate", "factor": 2}
TESTED = {"system": SYSTEM, "value": 10, "unit": "{order}/s", "tested_on": date(2026, 10, 1), "how": "replay"}


@pytest.fixture
def firm(tmp_path: Path) -> SmallFirm:
    return build_small_firm(tmp_path)


def test_a_firm_without_rules_has_no_clause(firm: SmallFirm) -> None:
    assert firm.governance.compliance.clauses == ()


def test_clauses_are_read_with_their_source_in_both_languages(firm: SmallFirm) -> None:
    write_clauses(firm.settings.project, clause(KEPT, **LEDGER))
    (read,) = firm.governance.compliance.clauses
    assert isinstance(read, RetentionClause)
    assert (read.id, read.parameters.days, read.applies_to) == ("one", 184, ("admission/ledger",))
    assert read.document == "governance/compliance/rules.yaml"
    assert (read.verified, read.verified_by) == (False, None)
    assert read.source.cited("en") == "A law, No. 1, article 7"
    assert read.source.cited("zh") == "某法 No. 1 第7条"


def test_a_person_can_stand_for_a_clause(firm: SmallFirm) -> None:
    said = {"verified": True, "verified_by": "li", "verified_on": date(2026, 11, 2)}
    write_clauses(firm.settings.project, clause(GRADED, **said))
    (read,) = firm.governance.compliance.clauses
    assert (read.verified, read.verified_by, read.verified_on) == (True, "li", date(2026, 11, 2))


def test_another_clause_is_another_hash(firm: SmallFirm) -> None:
    hashes = set()
    for days in (184, 185):
        write_clauses(firm.settings.project, clause(KEPT, **LEDGER | {"parameters": {"days": days}}))
        hashes.add(load_governance(firm.settings.project).compliance.rules_hash)
    assert len(hashes) == 2


def test_rules_are_published_with_the_other_control_documents(firm: SmallFirm) -> None:
    write_clauses(firm.settings.project, clause(GRADED))
    publish_documents(firm.lake, firm.governance, DAY)
    kinds = {row["path"]: row["kind"] for row in published_rows(firm.lake, DOCUMENTS, DAY)}
    assert kinds["governance/compliance/rules.yaml"] == "compliance_rules"


def test_no_clause_of_the_default_rules_claims_to_be_verified(project_root: Path) -> None:
    clauses = load_governance(project_root).compliance.clauses
    assert {one.check for one in clauses} == {GRADED, KEPT, MASKED, CAPACITY, "audit_is_whole"}
    assert not [one.id for one in clauses if one.verified]
    for one in clauses:
        assert one.title.zh
        assert one.requirement.zh
        assert one.source.url.startswith("http")


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    (clause("every_column_is_red"), "clauses[0].check", "no check is called 'every_column_is_red'"),
    (clause(GRADED, check=None), "clauses[0].check", "required"),
    (clause(GRADED, check=["x"]), "clauses[0].check", "no check"),
    (clause(GRADED, source=None), "clauses[0].source", "required"),
    (clause(GRADED, title=None), "clauses[0].title", "required"),
    (clause(GRADED, verified=None), "clauses[0].verified", "required"),
    (clause(GRADED, verified="no"), "clauses[0].verified", "boolean"),
    (clause(GRADED, verified=True), "clauses[0]", "by whom"),
    (clause(GRADED, verified=True, verified_by="li"), "clauses[0]", "by whom"),
    (clause(GRADED, verified_by="li", verified_on=date(2026, 1, 1)), "clauses[0]", "set verified to true"),
    (clause(GRADED, identifier="Has Blanks"), "clauses[0].id", "pattern"),
    (clause(GRADED, parameters={"days": 3}), "clauses[0].parameters.days", "not known"),
    (clause(GRADED, applies_to=["no/table"]), "clauses[0].applies_to", "no dataset is 'no/table'"),
    (clause(GRADED, applies_to=["cmdb"]), "clauses[0].applies_to", "no dataset is 'cmdb'"),
    (clause(GRADED, document="x"), "clauses[0].document", "not known"),
    (clause(GRADED, clears="x"), "clauses[0].clears", "not known"),
    (clause(KEPT, parameters={"days": 5}), "clauses[0].applies_to", "not every table"),
    (clause(KEPT, **LEDGER | {"parameters": {"days": 0}}), "clauses[0].parameters.days", "greater than"),
    (clause(KEPT, **LEDGER | {"parameters": {"days": "5"}}), "clauses[0].parameters.days", "integer"),
    (clause(KEPT, **LEDGER | {"parameters": None}), "clauses[0].parameters", "required"),
    (clause("audit_is_whole", applies_to=["audit/access"]), "clauses[0].applies_to", "one audit"),
    (clause(MASKED, parameters={"grade": 5}), "clauses[0].parameters.grade", "less than"),
    (
        clause(MASKED, parameters={"grade": 3, "roles": ["king"]}),
        "clauses[0].parameters.roles",
        "no role is called 'king'",
    ),
    (
        clause(MASKED, parameters={"grade": 3, "columns": ["cmdb/owners.fax"]}),
        "clauses[0].parameters.columns",
        "no column is 'cmdb/owners.fax'",
    ),
    (
        clause(MASKED, parameters={"grade": 3, "columns": ["phone"]}),
        "clauses[0].parameters.columns",
        "no column is 'phone'",
    ),
    (clause(CAPACITY, parameters=RATE | {"metric": "orders"}), "clauses[0].parameters.metric", "no standard metric"),
    (
        clause(CAPACITY, parameters=RATE | {"metric": "trading.order.count"}),
        "clauses[0].parameters.metric",
        "is a counter",
    ),
    (clause(CAPACITY, parameters=RATE | {"factor": 0}), "clauses[0].parameters.factor", "greater than 0"),
    (clause(CAPACITY, parameters=RATE | {"factor": float("nan")}), "clauses[0].parameters.factor", "finite"),
    (clause(CAPACITY, parameters=RATE, applies_to=["moon"]), "clauses[0].applies_to", "no business system"),
    (
        clause(CAPACITY, parameters=RATE | {"capacities": [TESTED | {"system": "moon"}]}),
        "clauses[0].parameters.capacities[0].system",
        "no business system",
    ),
    (
        clause(CAPACITY, parameters=RATE | {"capacities": [TESTED, TESTED]}),
        "clauses[0].parameters.capacities[1].system",
        "twice",
    ),
    (
        clause(CAPACITY, parameters=RATE | {"capacities": [TESTED]}, applies_to=["cmdb"]),
        "clauses[0].parameters.capacities[0].system",
        "does not apply",
    ),
    (
        clause(CAPACITY, parameters=RATE | {"capacities": [TESTED | {"unit": "ms"}]}),
        "clauses[0].parameters.capacities[0].unit",
        "cannot be compared",
    ),
    (
        clause(CAPACITY, parameters=RATE | {"capacities": [{**TESTED, "how": ""}]}),
        "clauses[0].parameters.capacities[0].how",
        "at least 1",
    ),
]


@pytest.mark.parametrize(("faulty", "key", "problem"), FAULTS, ids=[f"{key}-{problem}" for _, key, problem in FAULTS])
def test_a_faulty_clause_is_refused_by_file_and_key(
    firm: SmallFirm, project_root: Path, faulty: dict[str, Any], key: str, problem: str
) -> None:
    write_access(firm, project_root)
    path = write_clauses(firm.settings.project, faulty)
    with pytest.raises(GovernanceError) as refused:
        load_governance(firm.settings.project)
    assert (refused.value.path, refused.value.key) == (path, key)
    assert problem in refused.value.problem


@pytest.mark.parametrize("url", ["law.example.com", "javascript:alert(1)", "https://", "ftp://law.example.com/1", ""])
def test_a_source_is_on_the_web(firm: SmallFirm, url: str) -> None:
    source = clause(GRADED)["source"] | {"url": url}
    write_clauses(firm.settings.project, clause(GRADED, source=source))
    with pytest.raises(GovernanceError, match=r"clauses\[0\]\.source\.url"):
        load_governance(firm.settings.project)


def test_two_clauses_of_one_id_are_refused_across_files(firm: SmallFirm) -> None:
    write_clauses(firm.settings.project, clause(GRADED), name="a")
    write_clauses(firm.settings.project, clause(GRADED), name="b")
    with pytest.raises(GovernanceError, match=r"b\.yaml.*'one' stands in governance/compliance/a\.yaml already"):
        load_governance(firm.settings.project)


@pytest.mark.parametrize("text", ["", "clauses: 3", "clauses: {}", "- 1", "rules: []", "clauses: []\nother: 1"])
def test_a_document_that_holds_no_clauses_is_refused(firm: SmallFirm, text: str) -> None:
    path = write_clauses(firm.settings.project)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"rules\.yaml"):
        load_governance(firm.settings.project)


def test_a_clause_that_is_no_mapping_is_refused(firm: SmallFirm) -> None:
    write_clauses(firm.settings.project).write_text("clauses: [3]", encoding="utf-8")
    with pytest.raises(GovernanceError, match=r"clauses\[0\]: is no mapping"):
        load_governance(firm.settings.project)
