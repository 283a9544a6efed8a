"""Publishing quality policies as data: which policies a day was judged by, and who last changed them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.control import NOTHING_KNOWN, publish_rows
from omgov_assets.model_management.documents import read_json
from omgov_assets.model_management.provenance import Provenance, author_of
from omgov_assets.quality_policy.policies import PolicySet, policy_arguments

QUALITY_POLICIES = "control/quality_policies"


def publish_quality_policies(
    lake: Lake,
    policy_sets: Iterable[PolicySet],
    day: date,
    project: Path,
    provenance: Mapping[str, Provenance] = NOTHING_KNOWN,
) -> int:
    """Write ``control/quality_policies`` of the day; returns the number of policies."""
    suites: dict[str, set[str]] = {}
    rows = []
    for policy_set in policy_sets:
        own = f"expectations/{policy_set.system}/{policy_set.dataset}.json"
        if own not in suites:
            suites[own] = _policy_ids(project / own)
        for policy in policy_set.policies:
            document = own if policy.policy_id in suites[own] else f"expectations/{policy_set.dataset}.json"
            rows.append(
                {
                    "day": day,
                    "system": policy_set.system,
                    "dataset": policy_set.dataset,
                    "policy_id": policy.policy_id,
                    "anomaly_type": policy.meta.anomaly_type,
                    "quality_dimension": policy.meta.quality_dimension,
                    "severity": policy.severity,
                    "expectation_type": policy.type,
                    "kwargs": policy_arguments(policy),
                    "expected": policy.meta.expected,
                    "effective_from": policy.meta.effective_from,
                    "effective_until": policy.meta.effective_until,
                    "document": document,
                    "author": author_of(provenance, document),
                    "policy_hash": policy_set.policy_hash,
                }
            )
    return publish_rows(lake, QUALITY_POLICIES, day, rows)


def _policy_ids(suite: Path) -> set[str]:
    """Policies of a suite that was read before, hence is valid; none where there is no such file."""
    if not suite.is_file():
        return set()
    return {expectation["meta"]["policy_id"] for expectation in read_json(suite)["expectations"]}
