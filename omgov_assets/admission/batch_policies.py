"""Batch policies: quality policies that are judged at the gate, on the rows of a batch before they enter the lake.

A policy whose ``meta`` says ``admission: quarantine`` refuses the rows that fail it, ``warn`` admits them with a
warning, ``reject`` refuses the whole batch; ``max_refused_rows`` and ``max_refused_share`` bound how many rows may fail
before the batch is refused. Great Expectations gives the verdicts, as for every policy. A policy that cannot be
evaluated, or breaks, refuses nothing: it is a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import OneOf, conjunction
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.evaluation import PolicyResult, judge_rows
from omgov_assets.quality_policy.policies import Policy, PolicySet, load_policy_set

_CANDIDATE = "candidate"


@dataclass(frozen=True)
class BatchPolicies:
    """The policies of a dataset that are judged at the gate; false where there are none."""

    policy_set: PolicySet
    policies: tuple[Policy, ...]

    def __bool__(self) -> bool:
        return bool(self.policies)

    @property
    def policy_hash(self) -> str:
        """Hash of these policies and of the views that they see; the dataset's other policies do not change it."""
        if not self.policies:
            return ""
        views = (self.policy_set.view_sql or "", *self.policy_set.shared_views.values())
        return content_hash(*views, *(policy.model_dump_json() for policy in self.policies))


@dataclass(frozen=True)
class BatchVerdicts:
    """What batch policies say of a batch that they do not refuse.

    Attributes:
        refused_rows: SELECT of _record_no, code, sentence of the rows to quarantine; None where there are none.
        warnings: policy id to number of rows that failed it and are admitted; ``not_evaluated:`` and ``broken:`` in
            front of those that gave no verdict, with 0.
    """

    refused_rows: str | None
    warnings: Mapping[str, int]


def batch_policies_of(project: Path, system: str, dataset: str) -> BatchPolicies:
    """The batch policies of a dataset. Raises ``GovernanceError``."""
    policy_set = load_policy_set(project, system, dataset)
    return BatchPolicies(policy_set, tuple(policy for policy in policy_set.policies if policy.meta.admission))


def judge_policies(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    batch: BatchPolicies,
    day: date,
    rows_in: int,
    file_name: str,
) -> BatchVerdicts:
    """Judge ``standard_rows`` by the batch policies in force.

    Raises:
        RefusedBatchError: a policy refuses the batch (``policy_refuses``).
    """
    policies = [policy for policy in batch.policies if policy.in_force(day)]
    if not policies:
        return BatchVerdicts(None, {})
    con.execute(f"CREATE OR REPLACE TABLE {_CANDIDATE} AS SELECT * FROM standard_rows")  # noqa: S608 - a fixed name
    results = judge_rows(con, lake, governance, batch.policy_set, policies, day, candidate=_CANDIDATE)
    warnings: dict[str, int] = {}
    quarantining: list[str] = []
    for result in results:
        policy = result.policy
        if result.verdict in {"not_evaluated", "error"}:
            prefix = "not_evaluated" if result.verdict == "not_evaluated" else "broken"
            warnings[f"{prefix}:{policy.policy_id}"] = 0
        elif result.failed:
            _require_bounds(result, rows_in, file_name)
            if policy.meta.admission == "quarantine":
                quarantining.append(policy.policy_id)
            else:
                warnings[policy.policy_id] = result.failed
    con.execute(f"DROP TABLE {_CANDIDATE}")
    if not quarantining:
        return BatchVerdicts(None, warnings)
    chosen = conjunction({"policy_id": OneOf(tuple(quarantining))})
    return BatchVerdicts(
        "SELECT record_no AS _record_no, 'policy:' || policy_id AS code, "  # noqa: S608 - quoted
        "concat('policy ', policy_id, ' expects ', expected, ', found ', coalesce(observed, 'nothing')) AS sentence "
        f"FROM harvested WHERE {chosen} AND record_no IS NOT NULL",
        warnings,
    )


def _require_bounds(result: PolicyResult, rows_in: int, file_name: str) -> None:
    meta, failed = result.policy.meta, result.failed or 0
    crossed = None
    if meta.admission == "reject" and result.verdict == "failed":
        crossed = "it rejects the batch"
    elif meta.max_refused_rows is not None and failed > meta.max_refused_rows:
        crossed = f"max_refused_rows: {meta.max_refused_rows}"
    elif meta.max_refused_share is not None and failed > meta.max_refused_share * rows_in:
        crossed = f"max_refused_share: {meta.max_refused_share:g}"
    if crossed is not None:
        remedy = meta.recovery.rstrip(".") or "ask the business system to deliver the file again"
        raise RefusedBatchError(
            "policy_refuses",
            f"{file_name}: {failed} of {rows_in} rows fail policy {result.policy.policy_id}, which expects "
            f"{meta.expected} ({crossed}); {remedy}",
            rows_in,
        )
