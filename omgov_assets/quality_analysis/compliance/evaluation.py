"""Checking all clauses of a day: the table ``quality/compliance``.

Does not belong here: any check (``grading``, ``retention``, ``whole_audit``, ``capacity``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.compliance_rules import (
    AuditClause,
    CapacityClause,
    Clause,
    GradingClause,
    MaskingClause,
    RetentionClause,
)
from omgov_assets.model_management.control import publish_rows
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_analysis.compliance.capacity import capacity_headroom
from omgov_assets.quality_analysis.compliance.grading import columns_above_grade_are_masked, every_column_is_graded
from omgov_assets.quality_analysis.compliance.retention import records_are_kept
from omgov_assets.quality_analysis.compliance.verdicts import EVERYTHING, Evidence, Verdict
from omgov_assets.quality_analysis.compliance.whole_audit import audit_is_whole

COMPLIANCE = "quality/compliance"


@dataclass(frozen=True)
class ComplianceSummary:
    """What came of a day's check.

    Attributes:
        day: the day.
        clauses: clauses checked.
        rows: verdicts, one per clause and subject, as they are in the lake.
    """

    day: date
    clauses: int
    rows: list[dict[str, Any]]

    def count(self, verdict: str) -> int:
        """How many verdicts are such."""
        return sum(row["verdict"] == verdict for row in self.rows)


def evaluate_compliance(
    lake: Lake, governance: Governance, day: date, audit: Path, environment: Mapping[str, str]
) -> ComplianceSummary:
    """Check every clause and replace the day of ``quality/compliance``.

    Args:
        lake: the home's lake.
        governance: the firm's control information.
        day: business day; what is in the lake of later days is not looked at.
        audit: ``OMGOV_HOME/audit``.
        environment: names the file of the audit's anchors and holds their key, where there are any.
    """
    evidence = Evidence.of(lake, governance, day, audit, environment)
    rules = content_hash(governance.compliance.rules_hash, governance.access.policy_hash)
    rows = [
        _row(clause, verdict, day, rules)
        for clause in governance.compliance.clauses
        for verdict in _verdicts(clause, evidence)
    ]
    publish_rows(lake, COMPLIANCE, day, rows)
    return ComplianceSummary(day, len(governance.compliance.clauses), rows)


def _verdicts(clause: Clause, evidence: Evidence) -> list[Verdict]:
    verdicts = list(_checked(clause, evidence))
    if not verdicts:
        nothing = Verdict(
            EVERYTHING, "not_evaluated", None, clause.requirement.en, "there is nothing that it applies to"
        )
        return [nothing]
    return verdicts


def _checked(clause: Clause, evidence: Evidence) -> Iterator[Verdict]:
    match clause:
        case GradingClause():
            return every_column_is_graded(clause, evidence)
        case MaskingClause():
            return columns_above_grade_are_masked(clause, evidence)
        case RetentionClause():
            return records_are_kept(clause, evidence)
        case AuditClause():
            return audit_is_whole(clause, evidence)
        case CapacityClause():
            return capacity_headroom(clause, evidence)


def _row(clause: Clause, verdict: Verdict, day: date, policy_hash: str) -> dict[str, Any]:
    return {
        "day": day,
        "clause_id": clause.id,
        "check_name": clause.check,
        "subject": verdict.subject,
        "verdict": verdict.outcome,
        "observed": verdict.observed,
        "required": verdict.required,
        "explanation": verdict.explanation,
        "title": clause.title.en,
        "title_zh": clause.title.zh,
        "requirement": clause.requirement.en,
        "requirement_zh": clause.requirement.zh,
        "verified": clause.verified,
        "verified_on": clause.verified_on,
        "source": clause.source.cited("en"),
        "source_zh": clause.source.cited("zh"),
        "source_url": clause.source.url,
        "document": clause.document,
        "policy_hash": policy_hash,
        "data_versions": json.dumps(verdict.versions, sort_keys=True),
    }
