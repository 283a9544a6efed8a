"""Policy results as Dagster check results: one per dataset and quality dimension, the policies as rows of its table.

The metadata holds counts, keys and sentences, never a row of data.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg

from omgov_assets.quality_policy.check_history import EarlierResults
from omgov_assets.quality_policy.evaluation import PolicyResult
from omgov_assets.quality_policy.policies import PolicySet
from omgov_assets.quality_policy.violations import VIOLATIONS

SAMPLE_KEYS = 20


def check_result(
    policy_set: PolicySet, dimension: str, results: list[PolicyResult], day: date, earlier: EarlierResults
) -> dg.AssetCheckResult:
    """The check result of one quality dimension of a dataset; anything but all passed is a failed check."""
    not_evaluated = [result for result in results if result.verdict == "not_evaluated"]
    broken = [result for result in results if result.verdict == "error"]
    failed = [result for result in results if result.verdict == "failed"]
    metadata: dict[str, Any] = {
        **(
            {"policies": dg.MetadataValue.table([_record(result, policy_set.dataset, earlier) for result in results])}
            if results
            else {}
        ),
        "failed_policies": len(failed),
        "failed_rows": sum(result.failed or 0 for result in failed),
        "not_evaluated": len(not_evaluated),
        "errors": len(broken),
        "day": day.isoformat(),
        "compared_with": earlier.day.isoformat() if earlier.day else "no earlier day",
        "policy_hash": policy_set.policy_hash,
        "data_version": str(results[0].data_version) if results else "none",
        "all_rows": dg.MetadataValue.md(_query(policy_set, dimension, day)),
    }
    recovery = list(dict.fromkeys(result.policy.meta.recovery for result in failed if result.policy.meta.recovery))
    if recovery:
        metadata["recovery"] = dg.MetadataValue.md("\n".join(f"- {text}" for text in recovery))
    if failed:
        metadata["sample_keys"] = dg.MetadataValue.md(_sample_keys(failed))
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([policy_set.system, policy_set.dataset]),
        check_name=dimension,
        passed=not (failed or broken or not_evaluated),
        # Never ERROR: a blocking check of that severity would keep everything downstream from running.
        severity=dg.AssetCheckSeverity.WARN,
        description=_sentence(results, failed, broken, not_evaluated),
        metadata=metadata,
    )


def _record(result: PolicyResult, dataset: str, earlier: EarlierResults) -> dg.TableRecord:
    share = result.failed / result.evaluated if result.failed is not None and result.evaluated else None
    before = earlier.failed_shares.get((dataset, result.policy.policy_id))
    return dg.TableRecord(
        {
            "policy": result.policy.policy_id,
            "anomaly_type": result.policy.meta.anomaly_type,
            "severity": result.policy.severity,
            "verdict": result.verdict,
            "evaluated": result.evaluated if result.evaluated is not None else "",
            "failed": result.failed if result.failed is not None else "",
            "failed_percent": "" if share is None else round(100 * share, 3),
            "failed_percent_before": "" if before is None else round(100 * before, 3),
            "expected": result.policy.meta.expected,
            "engine": result.engine,
            "reason": result.reason or "",
        }
    )


def _sentence(
    results: list[PolicyResult],
    failed: list[PolicyResult],
    broken: list[PolicyResult],
    not_evaluated: list[PolicyResult],
) -> str:
    parts = []
    if broken:
        parts.append(f"{len(broken)} policies broke: {broken[0].policy.policy_id}: {broken[0].reason}")
    if not_evaluated:
        parts.append(f"{len(not_evaluated)} of {len(results)} not evaluated: {not_evaluated[0].reason}")
    if failed:
        worst = max(failed, key=lambda result: (result.failed or 0, result.policy.policy_id))
        parts.append(
            f"{len(failed)} of {len(results)} policies failed; most rows: {worst.policy.meta.anomaly_type} "
            f"({worst.failed:,} of {worst.evaluated:,})"
        )
    if not results:
        return "no policy of this dimension is in force"
    return "; ".join(parts) or f"all {len(results)} policies passed"


def _query(policy_set: PolicySet, dimension: str, day: date) -> str:
    return (
        "```sql\n"
        f"SELECT * FROM '{VIOLATIONS}'\n"
        f"WHERE day = '{day}' AND system = '{policy_set.system}' AND dataset = '{policy_set.dataset}'\n"
        f"  AND quality_dimension = '{dimension}'\n"
        "```"
    )


def _sample_keys(failed: list[PolicyResult]) -> str:
    each = max(1, SAMPLE_KEYS // len(failed))
    lines = ["| anomaly type | subject | CI | metric |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {' | '.join(_cell(text) for text in (result.policy.meta.anomaly_type, *sample))} |"
        for result in failed
        for sample in result.samples[:each]
    ]
    return "\n".join(lines)


def _cell(text: str | None) -> str:
    """A text of the data as a cell of a Markdown table, where it is nothing but text."""
    if not text:
        return ""
    plain = " ".join(text.replace("`", "'").replace("|", "\\|").split())
    return f"`{plain}`"
