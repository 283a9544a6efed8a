"""Compliance as an asset: the verdicts on the clauses of the compliance rules, after the audit is in the lake."""

import os
from collections.abc import Iterator
from typing import Any

import dagster as dg

from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.defs.access import AUDIT_KEY
from omgov_assets.defs.analysis_metadata import table
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_analysis.compliance import COMPLIANCE, ComplianceSummary, evaluate_compliance

GROUP = "quality"
KEY = dg.AssetKey(COMPLIANCE.split("/"))
CLAUSES_HOLD = "clauses_hold"
SHOWN = 50
_COLUMNS = ("clause_id", "subject", "verdict", "observed", "required", "explanation", "verified", "source")
_RECOVERY = (
    "`omgov compliance` lists all verdicts. Correct what a clause finds, or declare what it lacks in "
    "`governance/compliance/`."
)


def build_compliance(governance: Governance) -> dg.AssetsDefinition:
    """The asset ``quality/compliance`` and its check."""

    @dg.multi_asset(
        name="quality__compliance",
        specs=[
            dg.AssetSpec(
                KEY,
                deps=[AUDIT_KEY],
                group_name=GROUP,
                description="Verdict on each clause of the compliance rules, for each subject that it applies to.",
                kinds={"deltalake", "duckdb"},
                metadata=platform_columns(COMPLIANCE),
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                CLAUSES_HOLD,
                asset=KEY,
                blocking=True,
                description="No clause fails, and none is without a verdict.",
                partitions_def=daily_partitions(),
            )
        ],
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
        description="Checks the lake and its rules against the clauses of governance/compliance/.",
    )
    def compliance(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        summary = evaluate_compliance(lake.lake, governance, day_of(context), lake.settings.audit, os.environ)
        unverified = sum(not clause.verified for clause in governance.compliance.clauses)
        yield dg.MaterializeResult(
            asset_key=KEY,
            metadata={
                "dagster/row_count": len(summary.rows),
                "clauses": summary.clauses,
                "clauses_not_verified_by_a_person": unverified,
                **{verdict: summary.count(verdict) for verdict in ("passed", "failed", "not_evaluated")},
            },
        )
        yield _result(summary)

    return compliance


def _result(summary: ComplianceSummary) -> dg.AssetCheckResult:
    failed, unjudged = summary.count("failed"), summary.count("not_evaluated")
    at_fault = [row for verdict in ("failed", "not_evaluated") for row in summary.rows if row["verdict"] == verdict]
    metadata: dict[str, Any] = {"failed": failed, "not_evaluated": unjudged, "of": len(summary.rows)}
    rows = table(at_fault[:SHOWN], _COLUMNS)
    if rows is not None:
        metadata |= {"found": rows, "recovery": dg.MetadataValue.md(_RECOVERY)}
    if not summary.clauses:
        described = "governance/compliance/ holds no clause"
    else:
        described = f"{failed} of {len(summary.rows)} verdicts failed, {unjudged} could not be made"
    return dg.AssetCheckResult(
        asset_key=KEY,
        check_name=CLAUSES_HOLD,
        passed=not at_fault,
        # Never ERROR: what does not comply must be in the report.
        severity=dg.AssetCheckSeverity.WARN,
        description=described,
        metadata=metadata,
    )
