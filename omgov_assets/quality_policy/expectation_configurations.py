"""Policies as Great Expectations' own configurations, or why they are none; nothing of a refused one is ever run.

Everything that imports GX stands inside a function, since the import costs four seconds. Does not belong here:
evaluating them (``great_expectations_run``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from omgov_assets.quality_policy.checked_rows import CHECKED
from omgov_assets.quality_policy.policies import Policy

# GX's former way to write a row condition: one comparison, read by its grammar.
_GX_GRAMMARS = frozenset({"great_expectations", "great_expectations__experimental__"})
_GX_CONDITION = re.compile(
    r"""\s*col\("[^"]+"\)\s*(\.notnull\(\)|(==|!=|<=?|>=?)\s*("[^"]*"|'[^']*'|[+-]?\d+(\.\d*)?([eE][+-]?\d+)?))\s*"""
)


def gx_configurations(policies: Sequence[Policy]) -> tuple[dict[str, Any], dict[str, str]]:
    """GX configurations by policy id, and why those that are left out make no expectation."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    from omgov_assets.quality_policy import (  # noqa: F401 - registers them
        custom_expectations,
        dynamic_baseline_expectation,
    )

    configurations: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for policy in policies:
        try:
            _refuse_code(policy)
            configuration = ExpectationConfiguration(
                type=policy.type,
                kwargs=dict(policy.kwargs),
                meta={"policy_id": policy.policy_id},
                severity=FailureSeverity(policy.severity),
            )
            _refuse_statements(configuration.to_domain_obj())
        except (GreatExpectationsError, duckdb.Error, ValueError, TypeError, KeyError) as error:
            broken[policy.policy_id] = f"not a valid expectation: {_invalid_because(error)}"
        else:
            configurations[policy.policy_id] = configuration
    return configurations, broken


def _refuse_code(policy: Policy) -> None:
    """Refuse texts for row conditions: pandas runs them as Python, and GX's grammar drops what it cannot read."""
    condition = policy.kwargs.get("row_condition")
    if condition is None or isinstance(condition, Mapping):
        return
    grammar = str(policy.kwargs.get("condition_parser"))
    if grammar not in _GX_GRAMMARS or not isinstance(condition, str) or not _GX_CONDITION.fullmatch(condition):
        raise ValueError(
            'row_condition is no condition: write {"type": "comparison", "column": {"name": ...}, "operator": ..., '
            '"parameter": ...}'
        )


def _refuse_statements(expectation: Any) -> None:
    """A query selects; anything else, or a second statement behind it, is never run."""
    query = getattr(expectation, "unexpected_rows_query", None)
    if not isinstance(query, str):
        return
    with duckdb.connect() as scratch:
        kinds = [statement.type for statement in scratch.extract_statements(query.format(batch=CHECKED))]
    if kinds != [duckdb.StatementType.SELECT]:
        raise ValueError("unexpected_rows_query must be one SELECT and nothing else")


def _invalid_because(error: Exception) -> str:
    """The first reason of a validation error, which says itself only how many there are."""
    reasons = error.errors() if callable(getattr(error, "errors", None)) else []  # type: ignore[attr-defined]
    if not reasons:
        return first_line(error)
    where = ".".join(str(part) for part in reasons[0]["loc"] if part != "__root__")
    return f"{where}: {reasons[0]['msg']}" if where else str(reasons[0]["msg"])


def first_line(error: object) -> str:
    """The first line of an error, or its name where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
