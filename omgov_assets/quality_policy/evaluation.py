"""Evaluating a dataset's policies on a day of the lake: check results for people, violations down to the row.

A broken policy is an error of its own; a policy whose data is missing is ``not_evaluated``: neither pass nor fail.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, NamedTuple

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.masks import OPEN_GRADE, masked_text, partial_mask
from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.data_lake.sql import OneOf, identifier, literal
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.checked_rows import (
    SUBJECT_COLUMNS,
    CheckedRows,
    PolicyViewError,
    PopulationError,
    missing_requirements,
    population_of,
    prepare_checked_rows,
)
from omgov_assets.quality_policy.confidential import Confidential, confidential_in
from omgov_assets.quality_policy.failing_rows import FailedPolicy, failing_rows
from omgov_assets.quality_policy.great_expectations_run import Engine, Verdict, evaluate_policies
from omgov_assets.quality_policy.policies import Policy, PolicySet
from omgov_assets.quality_policy.violations import CHECK_RESULTS, GATE_POLICIES, replace_violations

# Failing subjects of a policy that a check shows; all of them are in ``quality/violations``.
SAMPLES = 20

# Great Expectations itself holds 300 MB beside it.
MEMORY_LIMIT = "300MB"

VerdictName = Literal["passed", "failed", "not_evaluated", "error"]


class Sample(NamedTuple):
    """A failing subject, without any value of its row."""

    subject_key: str
    ci_id: str | None
    metric: str | None


@dataclass(frozen=True)
class PolicyResult:
    """Verdict of one policy on one dataset of a day; ``reason`` says why it was not evaluated or broke.

    ``samples`` are a few failing subjects, by key: subject, CI, metric. ``engine`` is where GX evaluated the policy.
    """

    policy: Policy
    verdict: VerdictName
    evaluated: int | None
    failed: int | None
    reason: str | None
    data_version: int | None
    samples: tuple[Sample, ...] = ()
    engine: Engine = "duckdb"


def evaluate_dataset(
    lake: Lake,
    governance: Governance,
    policy_set: PolicySet,
    day: date,
    dimensions: Collection[str] | None = None,
) -> list[PolicyResult]:
    """Evaluate the policies of a dataset on a day and store check results and violations.

    Args:
        lake: the lake.
        governance: control information.
        policy_set: the policies.
        day: business day.
        dimensions: only policies of these quality dimensions; default all.

    Returns:
        One result per policy in force that day, in suite order.
    """
    policies = [
        policy
        for policy in policy_set.policies
        if policy.in_force(day) and (dimensions is None or policy.meta.quality_dimension in dimensions)
    ]
    with lake.connect(MEMORY_LIMIT) as con:
        results = _with_samples(con, judge_rows(con, lake, governance, policy_set, policies, day))
        _store_violations(con, lake, policy_set, results, day, complete=dimensions is None)
        _store_results(lake, policy_set, results, day, complete=dimensions is None)
    return results


def judge_rows(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    policy_set: PolicySet,
    policies: list[Policy],
    day: date,
    candidate: str | None = None,
) -> list[PolicyResult]:
    """Evaluate policies on a day of the lake and leave the violations in table ``harvested``; nothing is stored.

    ``candidate`` names a table of the connection that stands in for the dataset: rows that were not admitted yet.
    """
    table = f"{policy_set.system}/{policy_set.dataset}"
    schema = lake.schema("quality/violations")
    columns = ", ".join(f"{identifier(c.name)} {c.sql_type}" for c in schema.columns)
    con.execute(f"CREATE OR REPLACE TABLE harvested ({columns})")
    if candidate is None and not lake.has_day(table, day):
        reason = f"{table} holds nothing for {day}: nothing was delivered, or the batch was refused"
        return [PolicyResult(policy, "not_evaluated", None, None, reason, None) for policy in policies]
    missing = missing_requirements(lake, governance, policies, policy_set.system, day)
    waiting = {policy_id: f"{', '.join(names)} holds nothing for {day}" for policy_id, names in missing.items()}
    ready = [policy for policy in policies if policy.policy_id not in waiting]
    try:
        rows = prepare_checked_rows(con, lake, governance, policy_set, day, candidate)
    except PolicyViewError as error:
        return [PolicyResult(policy, "error", None, None, str(error), None) for policy in policies]
    verdicts = evaluate_policies(con, ready)
    confidential = confidential_in(lake, governance, policy_set)
    harvested = _harvest(con, verdicts, rows, policy_set, confidential, day)
    judged = {
        verdict.policy.policy_id: replace(
            _result(con, verdict, rows, harvested[verdict.policy.policy_id], confidential), engine=verdict.engine
        )
        for verdict in verdicts
    }
    return [
        judged.get(policy.policy_id)
        or PolicyResult(policy, "not_evaluated", None, None, waiting[policy.policy_id], rows.data_version)
        for policy in policies
    ]


def _result(
    con: duckdb.DuckDBPyConnection,
    verdict: Verdict,
    rows: CheckedRows,
    harvested: int | str,
    confidential: Confidential,
) -> PolicyResult:
    """The stored result of a verdict; its rows in ``harvested`` must be as many as GX counted."""
    policy = verdict.policy
    reason: str | None = None
    if verdict.success is None:
        reason = confidential.shown_error(verdict.error or "Great Expectations gave no reason", policy)
        return PolicyResult(policy, "error", verdict.evaluated, verdict.failed, reason, rows.data_version)
    evaluated: int | None = rows.rows if verdict.evaluated is None else verdict.evaluated
    failed = verdict.failed or 0
    try:
        population = population_of(con, policy)
        evaluated = evaluated if population is None else population
    except PopulationError as error:
        evaluated, reason = None, confidential.shown_error(str(error), policy)
    if isinstance(harvested, str):
        reason = f"the failing rows cannot be read: {confidential.shown_error(harvested, policy)}"
    elif harvested != failed:
        reason = f"{harvested} failing rows were found where Great Expectations counted {failed}"
    if reason is not None:
        con.execute("DELETE FROM harvested WHERE policy_id = ?", [policy.policy_id])
        return PolicyResult(policy, "error", evaluated, failed, reason, rows.data_version)
    name: VerdictName = "passed" if verdict.success else "failed"
    return PolicyResult(policy, name, evaluated, failed, None, rows.data_version)


def _harvest(
    con: duckdb.DuckDBPyConnection,
    verdicts: Sequence[Verdict],
    rows: CheckedRows,
    policy_set: PolicySet,
    confidential: Confidential,
    day: date,
) -> dict[str, int | str]:
    """Insert the failing rows of all policies into ``harvested``; their numbers by policy id, or why there are none.

    Where one pass for all of them breaks, each policy is harvested for itself and shows which one it is.
    """
    found: dict[str, int | str] = {verdict.policy.policy_id: 0 for verdict in verdicts}
    failing = [verdict for verdict in verdicts if verdict.success is not None and verdict.failed]
    together = [verdict for verdict in failing if verdict.row_condition and verdict.policy.meta.subject is None]
    alone = [verdict for verdict in failing if verdict not in together]
    insert = "INSERT INTO harvested BY NAME"
    if together:
        try:
            con.execute(f"{insert} {_violations_in_one_pass(together, rows, policy_set, confidential, day)}")
        except duckdb.Error:
            alone = failing
    for verdict in alone:
        try:
            con.execute(f"{insert} {_violations(con, verdict, rows, policy_set, confidential, day)}")
        except duckdb.Error as error:
            found[verdict.policy.policy_id] = str(error)
    counted = con.execute("SELECT policy_id, count(*) FROM harvested GROUP BY ALL").fetchall()
    return found | {policy_id: count for policy_id, count in counted if not isinstance(found[policy_id], str)}


def _violations_in_one_pass(
    verdicts: Sequence[Verdict], rows: CheckedRows, policy_set: PolicySet, confidential: Confidential, day: date
) -> str:
    """SELECT of the failing rows of policies as violations."""
    policies = [
        FailedPolicy(
            verdict.row_condition,
            _said_of(verdict.policy, policy_set, rows, day),
            _observed(verdict.policy, confidential, rows.columns),
        )
        for verdict in verdicts
        if verdict.row_condition
    ]
    observed = {name for verdict in verdicts for name in verdict.policy.observed_columns}
    read = {*rows.schema.key, *SUBJECT_COLUMNS, *observed}
    return failing_rows(policies, _row_subject(rows.schema, rows.columns), [c for c in rows.columns if c in read])


def _said_of(policy: Policy, policy_set: PolicySet, rows: CheckedRows, day: date) -> dict[str, str]:
    """What a violation says of its policy, as SQL."""
    return {
        "day": f"{literal(day)}::DATE",
        "system": literal(policy_set.system),
        "dataset": literal(policy_set.dataset),
        "policy_id": literal(policy.policy_id),
        "anomaly_type": literal(policy.meta.anomaly_type),
        "quality_dimension": literal(policy.meta.quality_dimension),
        "severity": literal(policy.severity),
        "column_name": literal(policy.column_name),
        "expected": literal(policy.meta.expected),
        "policy_hash": literal(policy_set.policy_hash),
        "data_version": f"{literal(rows.data_version)}::BIGINT",
    }


def _row_subject(schema: TableSchema, columns: Collection[str]) -> dict[str, str]:
    """What a violation says of its row, as SQL."""
    subject = {"subject_kind": literal("row"), "subject_key": _subject_key(schema)}
    for target, column in (
        *((name, name) for name in ("source_metric", "metric", "ci_id", "collector")),
        ("batch_id", "_batch_id"),
        ("record_no", "_record_no"),
    ):
        if column in columns:
            subject[target] = identifier(column)
    return subject


def _violations(
    con: duckdb.DuckDBPyConnection,
    verdict: Verdict,
    rows: CheckedRows,
    policy_set: PolicySet,
    confidential: Confidential,
    day: date,
) -> str:
    """SELECT of the failing rows of a policy as violations."""
    policy = verdict.policy
    subject: dict[str, str] = {"subject_kind": literal("dataset"), "subject_key": literal(policy_set.dataset)}
    shown = verdict.observed
    if shown is not None and confidential.hides_observed(policy):
        shown = masked_text(shown)
    observed = literal(shown)
    source = "(SELECT 1)"
    if verdict.row_query is not None:
        source = f"({verdict.row_query})"
        columns: Collection[str] = rows.columns
        if policy.meta.subject is not None:
            columns = [name for name, *_ in con.execute(f"DESCRIBE {verdict.row_query}").fetchall()]
        subject = _row_subject(rows.schema, columns)
        if policy.meta.subject is not None:
            key = ", ".join(f"{identifier(name)}::VARCHAR" for name in policy.meta.subject.key)
            subject |= {"subject_kind": literal(policy.meta.subject.kind), "subject_key": f"concat_ws('|', {key})"}
        observed = _observed(policy, confidential, columns)
    fixed = {**_said_of(policy, policy_set, rows, day), "observed": observed, **subject}
    named = ", ".join(f"{value} AS {identifier(name)}" for name, value in fixed.items())
    return f"SELECT {named} FROM {source}"  # noqa: S608 - quoted


def _subject_key(schema: TableSchema) -> str:
    """The row's key as text; where a part of it must not be shown, the record that the row came from."""
    key = [column for column in schema.columns if column.name in schema.key]
    if not key or any(column.grade > OPEN_GRADE for column in key):
        return "_batch_id || ':' || _record_no"
    parts = [
        f"strftime({identifier(column.name)}, '%Y-%m-%d %H:%M:%S+00')"
        if column.sql_type == "TIMESTAMPTZ"
        else f"{identifier(column.name)}::VARCHAR"
        for column in key
    ]
    return f"concat_ws('|', {', '.join(parts)})"


def _observed(policy: Policy, confidential: Confidential, columns: Collection[str]) -> str:
    shown = []
    for name in policy.observed_columns:
        if name not in columns:
            continue
        value = partial_mask(identifier(name)) if confidential.hides(policy, name) else identifier(name)
        shown.append(
            f"{value}::VARCHAR" if len(policy.observed_columns) == 1 else f"{literal(name + '=')} || {value}::VARCHAR"
        )
    return shown[0] if len(shown) == 1 else f"concat_ws(', ', {', '.join(shown)})" if shown else "NULL"


def _with_samples(con: duckdb.DuckDBPyConnection, results: list[PolicyResult]) -> list[PolicyResult]:
    """The results with their first failing subjects by key."""
    samples: dict[str, list[Sample]] = {}
    for policy_id, *subject in con.execute(
        "SELECT policy_id, first.* EXCLUDE (record_no) FROM (SELECT policy_id, unnest(min(struct_pack(subject_key, "
        "record_no, ci_id, metric := coalesce(metric, source_metric)), ?)) AS first FROM harvested GROUP BY policy_id)",
        [SAMPLES],
    ).fetchall():
        samples.setdefault(policy_id, []).append(Sample(*subject))
    return [replace(result, samples=tuple(samples.get(result.policy.policy_id, ()))) for result in results]


def _store_violations(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    policy_set: PolicySet,
    results: list[PolicyResult],
    day: date,
    *,
    complete: bool,
) -> None:
    settled = [r.policy.policy_id for r in results if r.verdict in {"passed", "failed"}]
    open_ = [r.policy.policy_id for r in results if r.verdict not in {"passed", "failed"}]
    # A complete evaluation also clears what policies left that are no longer in the suite.
    policies = OneOf((*GATE_POLICIES, *open_), negated=True) if complete else OneOf(tuple(settled))
    if settled or complete:
        replace_violations(con, lake, day, policy_set.system, policy_set.dataset, policies, con.table("harvested"))


def _store_results(
    lake: Lake, policy_set: PolicySet, results: list[PolicyResult], day: date, *, complete: bool
) -> None:
    rows: list[dict[str, Any]] = [
        {
            "day": day,
            "system": policy_set.system,
            "dataset": policy_set.dataset,
            "policy_id": result.policy.policy_id,
            "anomaly_type": result.policy.meta.anomaly_type,
            "quality_dimension": result.policy.meta.quality_dimension,
            "severity": result.policy.severity,
            "expectation_type": result.policy.type,
            "column_name": result.policy.column_name,
            "expected": result.policy.meta.expected,
            "verdict": result.verdict,
            "evaluated": result.evaluated,
            "failed": result.failed,
            "reason": result.reason,
            "policy_hash": policy_set.policy_hash,
            "data_version": result.data_version,
        }
        for result in results
    ]
    where: dict[str, str | OneOf] = {"system": policy_set.system, "dataset": policy_set.dataset}
    if not complete:
        where["policy_id"] = OneOf(tuple(result.policy.policy_id for result in results))
    if rows or lake.has_day(CHECK_RESULTS, day):
        lake.replace(
            CHECK_RESULTS, day, pa.Table.from_pylist(rows, schema=lake.schema(CHECK_RESULTS).arrow), where=where
        )
