"""Publishing quality policies as data: which policies a day was judged by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.quality_policy.policies import PolicySet, policy_arguments

QUALITY_POLICIES = "control/quality_policies"


def publish_quality_policies(lake: Lake, policy_sets: Iterable[PolicySet], day: date) -> int:
    """Write ``control/quality_policies`` of the day; returns the number of policies."""
    rows = [
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
            "policy_hash": policy_set.policy_hash,
        }
        for policy_set in policy_sets
        for policy in policy_set.policies
    ]
    schema = lake.schema(QUALITY_POLICIES).arrow
    lake.replace(QUALITY_POLICIES, day, pa.Table.from_pylist(rows, schema=schema))
    return len(rows)
