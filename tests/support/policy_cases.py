"""Policies written short, for tests that evaluate them."""

from __future__ import annotations

from typing import Any

from omgov_assets.quality_policy.policies import Policy

Condition = dict[str, Any]


def policy(
    policy_id: str, expectation: str, *, dimension: str = "accuracy", severity: str = "warning", **kwargs: Any
) -> Policy:
    """A policy of a type with GX arguments; its anomaly type bears its id."""
    meta = {
        "policy_id": policy_id,
        "anomaly_type": policy_id,
        "quality_dimension": dimension,
        "expected": f"what {policy_id} expects",
        **kwargs.pop("meta", {}),
    }
    return Policy.model_validate({"type": expectation, "kwargs": kwargs, "severity": severity, "meta": meta})


def compare(column: str, operator: str, value: Any) -> Condition:
    """Row condition: a column compared with a value."""
    return {"type": "comparison", "column": {"name": column}, "operator": operator, "parameter": value}


def is_null(column: str, *, null: bool = True) -> Condition:
    """Row condition: a column is null, or is not."""
    return {"type": "nullity", "column": {"name": column}, "is_null": null}


def all_of(*conditions: Condition) -> Condition:
    """Row condition: all of these."""
    return {"type": "and", "conditions": list(conditions)}


def any_of(*conditions: Condition) -> Condition:
    """Row condition: any of these."""
    return {"type": "or", "conditions": list(conditions)}
