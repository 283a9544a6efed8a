"""Faults of policies that can be known before any row is judged.

A fault never stops a night: GX still gives its verdict, or the policy breaks for itself. Belongs here: what is wrong
with a policy as it is written, against the columns that it can name. Does not belong here: malformed suites
(``policies`` refuses them).
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.schemas import platform_tables
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.checked_rows import PolicyViewError, checked_columns
from omgov_assets.quality_policy.policies import Policy, PolicySet

NUMERIC = frozenset({"BIGINT", "INTEGER", "DOUBLE", "FLOAT", "HUGEINT", "DECIMAL", "SMALLINT", "TINYINT"})


@dataclass(frozen=True)
class PolicyFinding:
    """A fault of a policy: ``error`` where it cannot give a verdict, ``warning`` where its verdict cannot be meant."""

    system: str
    dataset: str
    policy_id: str
    code: str
    severity: Literal["error", "warning"]
    problem: str
    remedy: str


Fault = tuple[str, str, Literal["error", "warning"], str, str]


def examine_policies(
    lake: Lake, governance: Governance, policy_sets: Iterable[PolicySet], day: date
) -> list[PolicyFinding]:
    """Faults of policies, suite by suite in the order given; those of two policies stand with the second.

    Args:
        lake: the lake, for the columns of the tables that policy views join; no row is read.
        governance: control information.
        policy_sets: the policies of each dataset.
        day: business day.
    """
    findings: list[PolicyFinding] = []
    # Systems mostly share suites and views: what these can name is found out once.
    known: dict[tuple[object, ...], dict[str, str] | str] = {}
    with lake.connect() as con:
        for policy_set in policy_sets:
            if not policy_set.policies:
                continue
            delivered = frozenset(governance.systems[policy_set.system].datasets)
            key = (policy_set.dataset, delivered, policy_set.view_sql, *sorted(policy_set.shared_views.items()))
            if key not in known:
                try:
                    known[key] = checked_columns(con, lake, governance, policy_set, day)
                except PolicyViewError as error:
                    known[key] = str(error)
            findings += _examine(con, governance, policy_set, known[key])
    return findings


def _examine(
    con: duckdb.DuckDBPyConnection, governance: Governance, policy_set: PolicySet, columns: dict[str, str] | str
) -> list[PolicyFinding]:
    if isinstance(columns, str):
        remedy = "correct governance/standard/policy_views"
        return [_finding(policy_set, (policy_set.policies[0].policy_id, "view_broken", "error", columns, remedy))]
    faults: list[Fault] = []
    for policy in policy_set.policies:
        faults += _column_faults(policy, columns)
        faults += _argument_faults(con, policy, columns)
        faults += _requirement_faults(policy, policy_set.system, governance)
    faults += _contradictions(policy_set.policies)
    order = {policy.policy_id: number for number, policy in enumerate(policy_set.policies)}
    return [_finding(policy_set, fault) for fault in sorted(faults, key=lambda fault: order[fault[0]])]


def _finding(policy_set: PolicySet, fault: Fault) -> PolicyFinding:
    return PolicyFinding(policy_set.system, policy_set.dataset, *fault)


def _column_faults(policy: Policy, columns: dict[str, str]) -> Iterator[Fault]:
    named = {"column": policy.columns, "meta.observed": list(policy.meta.observed)}
    if policy.meta.subject is not None:
        named["meta.observed"] = []  # columns of its own query
    for where, names in named.items():
        for name in names:
            if name not in columns:
                near = difflib.get_close_matches(name, columns, n=3, cutoff=0.6)
                remedy = (
                    f"did you mean {' or '.join(near)}?" if near else "name a column of the contract or the policy view"
                )
                severity: Literal["error", "warning"] = "error" if where == "column" else "warning"
                yield policy.policy_id, "unknown_column", severity, f"{where} {name!r} does not exist", remedy


def _argument_faults(con: duckdb.DuckDBPyConnection, policy: Policy, columns: dict[str, str]) -> Iterator[Fault]:
    kwargs = policy.kwargs
    mostly = kwargs.get("mostly")
    if mostly is not None:
        if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
            problem = f"mostly {mostly!r} is no share between 0 and 1: it can never be reached"
            yield policy.policy_id, "unreachable_mostly", "error", problem, "write a share, such as 0.99"
        elif mostly == 0:
            problem = "mostly 0 is reached by any data: the policy never fails"
            yield policy.policy_id, "vacuous_mostly", "warning", problem, "write the share that is to hold"
    bounds = _bounds(policy)
    if bounds is not None and not _comparable(*bounds):
        problem = f"min_value {bounds[0]!r} and max_value {bounds[1]!r} do not compare"
        yield policy.policy_id, "bounds_unlike", "error", problem, "write both as numbers, or both as text"
    elif bounds is not None and _exceeds(bounds[0], bounds[1]):
        problem = f"min_value {bounds[0]!r} is greater than max_value {bounds[1]!r}: no value passes"
        yield policy.policy_id, "empty_range", "error", problem, "exchange the two or correct them"
    if kwargs.get("value_set") == [] and policy.type.endswith("to_be_in_set"):
        yield policy.policy_id, "empty_set", "error", "value_set is empty: no value passes", "name the values"
    for regex in _regexes(policy):
        try:
            con.execute("SELECT regexp_matches('', ?)", [regex]).fetchall()
        except duckdb.Error as error:
            problem = f"regex {regex!r} is refused: {str(error).splitlines()[0]}"
            yield (
                policy.policy_id,
                "regex_refused",
                "error",
                problem,
                "write it in RE2, without look-around or references",
            )
    yield from _type_faults(policy, columns, bounds)
    start, end = policy.meta.effective_from, policy.meta.effective_until
    if start is not None and end is not None and start > end:
        problem = f"effective_from {start} is after effective_until {end}: it is never in force"
        yield policy.policy_id, "never_effective", "error", problem, "exchange the two or correct them"


def _type_faults(policy: Policy, columns: dict[str, str], bounds: tuple[Any, Any] | None) -> Iterator[Fault]:
    """Numbers asked of text and the other way round."""
    if policy.type != "expect_column_values_to_be_between" or bounds is None or policy.kwargs["column"] not in columns:
        return
    sql_type = columns[policy.kwargs["column"]]
    numeric = sql_type.partition("(")[0] in NUMERIC
    given = [bound for bound in bounds if bound is not None]
    if (numeric and any(isinstance(bound, str) for bound in given)) or (
        sql_type == "VARCHAR" and any(isinstance(bound, int | float) for bound in given)
    ):
        problem = f"bounds {given!r} are not of the column's type {sql_type}"
        yield policy.policy_id, "bounds_of_other_type", "warning", problem, "write bounds of the column's type"


def _requirement_faults(policy: Policy, system: str, governance: Governance) -> Iterator[Fault]:
    datasets = {name: business.datasets.keys() for name, business in governance.systems.items()}
    for requirement in policy.meta.requires:
        table = requirement.replace("{system}", system)
        owner, _, dataset = table.partition("/")
        delivered = datasets.keys() if owner == "firm" else {owner}
        known = table in platform_tables() or any(dataset in datasets.get(name, ()) for name in delivered)
        if not known:
            problem = f"requires {requirement!r}, which nobody delivers: it is never evaluated"
            yield policy.policy_id, "unknown_requirement", "error", problem, "name a dataset that a system delivers"


def _contradictions(policies: Sequence[Policy]) -> Iterator[Fault]:
    """Pairs of policies on the same rows of the same column that no value can both pass, and policies said twice."""
    groups: dict[str, list[Policy]] = {}
    for policy in policies:
        rows = json.dumps([policy.columns, policy.kwargs.get("row_condition")], sort_keys=True, default=str)
        groups.setdefault(rows, []).append(policy)
    for group in groups.values():
        for first, second in itertools.combinations(group, 2):
            if not _overlap_in_time(first, second):
                continue
            if (first.type, first.kwargs) == (second.type, second.kwargs):
                problem = f"says the same as {first.policy_id}"
                yield second.policy_id, "said_twice", "warning", problem, "remove one of the two"
                continue
            reason = _contradiction(first, second) or _contradiction(second, first)
            if reason is not None:
                problem = f"contradicts {first.policy_id}: {reason}"
                yield second.policy_id, "contradiction", "error", problem, "correct one of the two"


def _contradiction(first: Policy, second: Policy) -> str | None:
    """Why no value can pass both; both must hold for every row to be sure of it."""
    if any(policy.kwargs.get("mostly", 1) != 1 for policy in (first, second)):
        return None
    types = (first.type.removeprefix("expect_column_values_to_"), second.type.removeprefix("expect_column_values_to_"))
    if types == ("be_null", "not_be_null"):
        return "the column cannot be null and not null"
    if types[0] == "be_in_set":
        values = first.kwargs.get("value_set") or []
        if types[1] == "be_between" and values and not any(_within(value, _bounds(second)) for value in values):
            return f"no value of the set lies between {_bounds(second)}"
        if types[1] == "be_in_set" and not _as_texts(values) & _as_texts(second.kwargs.get("value_set") or []):
            return "the two sets have no value in common"
        if types[1] == "not_be_in_set" and _as_texts(values) <= _as_texts(second.kwargs.get("value_set") or []):
            return "every value of the set is excluded"
    if types == ("be_between", "be_between"):
        (low, high), (other_low, other_high) = _bounds(first) or (None, None), _bounds(second) or (None, None)
        if _exceeds(low, other_high) or _exceeds(other_low, high):
            return "the two ranges have no value in common"
    return None


def _overlap_in_time(first: Policy, second: Policy) -> bool:
    starts = [policy.meta.effective_from or date.min for policy in (first, second)]
    ends = [policy.meta.effective_until or date.max for policy in (first, second)]
    return max(starts) <= min(ends)


def _bounds(policy: Policy) -> tuple[Any, Any] | None:
    if "min_value" not in policy.kwargs and "max_value" not in policy.kwargs:
        return None
    return policy.kwargs.get("min_value"), policy.kwargs.get("max_value")


def _within(value: Any, bounds: tuple[Any, Any] | None) -> bool:
    low, high = bounds or (None, None)
    return not (_exceeds(low, value) or _exceeds(value, high)) and _comparable(value, low) and _comparable(value, high)


def _exceeds(one: Any, other: Any) -> bool:
    return one is not None and other is not None and _comparable(one, other) and bool(one > other)


def _comparable(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return True
    return isinstance(one, str) == isinstance(other, str) and all(
        isinstance(x, int | float | str) for x in (one, other)
    )


def _as_texts(values: Iterable[Any]) -> set[str]:
    return {json.dumps(value, sort_keys=True, default=str) for value in values}


def _regexes(policy: Policy) -> list[str]:
    listed = policy.kwargs.get("regex_list") or []
    return [regex for regex in [policy.kwargs.get("regex"), *listed] if isinstance(regex, str)]
