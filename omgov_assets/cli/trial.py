"""``omgov try``: one file through contract, model and policies; the lake is read but never written."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from omgov_assets.admission.gate import Judgement, content_digest, judge_batch
from omgov_assets.cli.output import SOMETHING_REFUSED, Format, emit, fail
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_policy.evaluation import PolicyResult, judge_rows
from omgov_assets.quality_policy.policies import load_policy_set

SHOWN_RECORDS = 20


def try_delivery(
    settings: Settings, lake: Lake, system: str, dataset: str, file: Path, day: date, output: Format
) -> int:
    """Judge a file as the night would; print decision, refused records and policy verdicts. Returns the exit code."""
    governance = load_governance(settings.project)
    if system not in governance.systems:
        fail(f"{system}: no such business system; there are {', '.join(sorted(governance.systems))}")
    business = governance.systems[system]
    if dataset not in business.datasets:
        fail(f"{system}/{dataset}: not delivered by this system; it delivers {', '.join(sorted(business.datasets))}")
    policy_set = load_policy_set(settings.project, system, dataset)
    with lake.connect() as con:
        judgement = judge_batch(
            con,
            governance,
            business,
            business.datasets[dataset],
            day,
            file.absolute(),
            settings.landing,
            content_digest(file),
        )
        results: list[PolicyResult] = []
        if judgement.decision != "refused":
            con.execute("CREATE OR REPLACE TABLE candidate AS SELECT * FROM standard_rows")
            results = judge_rows(
                con, lake, governance, policy_set, list(policy_set.policies), day, candidate="candidate"
            )
    if output is Format.TABLE:
        emit([_decision(judgement)], output, f"{file.name} as {system}/{dataset} of {day}; the lake is untouched")
        if judgement.refused:
            shown = judgement.refused[:SHOWN_RECORDS]
            title = f"Quarantined records, {len(shown)} of {len(judgement.refused)}"
            emit([{"record": r.record_no, "reason": r.reason, "payload": r.payload} for r in shown], output, title)
        if results:
            emit([_verdict(result) for result in results], output, "Policies")
    else:
        emit([{**_decision(judgement), **_verdict(result)} for result in results] or [_decision(judgement)], output)
    return SOMETHING_REFUSED if judgement.decision == "refused" or judgement.refused else 0


def _decision(judgement: Judgement) -> dict[str, Any]:
    return {
        "decision": judgement.decision,
        "rows_in": judgement.rows_in,
        "rows_admitted": judgement.rows_admitted,
        "rows_quarantined": judgement.rows_quarantined,
        "reason": judgement.reason or "",
    }


def _verdict(result: PolicyResult) -> dict[str, Any]:
    return {
        "policy": result.policy.policy_id,
        "anomaly_type": result.policy.meta.anomaly_type,
        "verdict": result.verdict,
        "evaluated": result.evaluated,
        "failed": result.failed,
        "why": result.reason or "",
    }
