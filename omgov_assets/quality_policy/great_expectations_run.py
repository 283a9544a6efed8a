"""Great Expectations on DuckDB: verdicts and counts by GX's SQL engine, and the SQL of the rows that it counted.

GX is the authority: the row conditions are asked of the same metric providers that GX counts with. Everything that
imports GX stands inside a function, since the import costs four seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from omgov_assets.data_lake.sql import identifier
from omgov_assets.quality_policy.checked_rows import CHECKED
from omgov_assets.quality_policy.duckdb_engine_for_gx import execution_engine
from omgov_assets.quality_policy.policies import Policy

if TYPE_CHECKING:
    from great_expectations.validator.validator import Validator

# Counts alone: GX would otherwise also fetch sample values, which the harvest makes unnecessary.
_RESULT_FORMAT = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}


@dataclass(frozen=True)
class Verdict:
    """What GX says of one policy.

    Attributes:
        success: GX's verdict; None where the policy broke.
        evaluated: rows judged, without those that the expectation ignores as missing.
        failed: rows that failed, or 1 where an expectation on the whole dataset failed.
        row_query: SQL of the failing rows of ``checked``; None for expectations on the dataset as a whole.
        observed: observed value of an expectation on the dataset as a whole.
        error: why the policy broke.
    """

    policy: Policy
    success: bool | None
    evaluated: int | None = None
    failed: int | None = None
    row_query: str | None = None
    observed: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Condition:
    """Which rows GX looks at, and the SQLAlchemy expression that holds for the failing ones."""

    domain_kwargs: Any
    expression: Any


def preload() -> None:
    """Import Great Expectations, which takes seconds, ahead of the first evaluation; harmless to call from a thread."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import duckdb_engine  # noqa: F401
    import great_expectations.expectations.core
    import great_expectations.validator.validator  # noqa: F401


def evaluate_policies(con: duckdb.DuckDBPyConnection, policies: Sequence[Policy]) -> list[Verdict]:
    """Evaluate policies on table ``checked`` of the connection; a policy that breaks disturbs no other.

    Returns:
        One verdict per policy, in the order given.
    """
    if not policies:
        return []
    configurations, verdicts = _configurations(policies)
    with _validator(con) as validator:
        results: list[Any] = validator.graph_validate(
            configurations=list(configurations.values()), runtime_configuration=_RESULT_FORMAT
        )
        conditions = _conditions(validator, results)
        for result in results:
            # GX answers in an order of its own as soon as one expectation breaks: match by the policy's id.
            policy_id = result.expectation_config.meta["policy_id"]
            policy = next(policy for policy in policies if policy.policy_id == policy_id)
            verdicts[policy_id] = _verdict(validator, policy, result, conditions.get(policy_id))
    return [
        verdicts.get(policy.policy_id, Verdict(policy, None, error="Great Expectations gave no result"))
        for policy in policies
    ]


def _configurations(policies: Sequence[Policy]) -> tuple[dict[str, Any], dict[str, Verdict]]:
    """GX configurations by policy id, and verdicts for those that GX does not accept at all."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    from great_expectations.exceptions import GreatExpectationsError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.metadata_types import FailureSeverity

    configurations: dict[str, Any] = {}
    broken: dict[str, Verdict] = {}
    for policy in policies:
        try:
            configuration = ExpectationConfiguration(
                type=policy.type,
                kwargs=dict(policy.kwargs),
                meta={"policy_id": policy.policy_id},
                severity=FailureSeverity(policy.severity),
            )
            configuration.to_domain_obj()
        except (GreatExpectationsError, ValueError, TypeError, KeyError) as error:
            broken[policy.policy_id] = Verdict(
                policy, None, error=f"not a valid expectation: {_invalid_because(error)}"
            )
        else:
            configurations[policy.policy_id] = configuration
    return configurations, broken


@contextmanager
def _validator(con: duckdb.DuckDBPyConnection) -> Iterator[Validator]:
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
    from great_expectations.validator.validator import Validator

    with execution_engine(con) as engine:
        batch_data: Any = SqlAlchemyBatchData(execution_engine=engine, table_name=CHECKED, create_temp_table=False)
        validator = Validator(execution_engine=engine, batches=[Batch(data=batch_data)])
        validator.metrics_calculator.show_progress_bars = False
        yield validator


def _verdict(validator: Validator, policy: Policy, result: Any, condition: _Condition | None) -> Verdict:
    error = _error_of(result)
    if error is not None:
        return Verdict(policy, None, error=error)
    outcome = result.result
    if policy.type == "unexpected_rows_expectation":
        failed = int(outcome["observed_value"])
        return Verdict(policy, bool(result.success), None, failed, _free_query(policy) if failed else None)
    if not _counts_rows(outcome):
        observed = outcome.get("observed_value")
        text = None if observed is None else str(observed)
        return Verdict(policy, bool(result.success), None, 0 if result.success else 1, None, text)
    # GX sums over the rows of the row condition: where there are none, the sum is null.
    failed = int(outcome["unexpected_count"] or 0)
    evaluated = int(outcome["element_count"]) - int(outcome.get("missing_count") or 0)
    if failed == 0:
        return Verdict(policy, bool(result.success), evaluated, 0)
    if condition is None:
        return Verdict(
            policy, None, evaluated, failed, error="Great Expectations gives no condition of the failing rows"
        )
    return Verdict(policy, bool(result.success), evaluated, failed, _row_query(validator, policy, condition))


def _counts_rows(outcome: Any) -> bool:
    """Whether a result counts failing rows; some expectations count failing values of a column instead."""
    return "unexpected_count" in outcome and "element_count" in outcome


def _conditions(validator: Validator, results: Sequence[Any]) -> dict[str, _Condition]:
    """GX's own row conditions of the expectations that counted failing rows, by policy id; asked for all at once."""
    from great_expectations.validator.metric_configuration import MetricConfiguration

    wanted = {}
    for result in results:
        outcome = result.result or {}
        if _error_of(result) is not None or not _counts_rows(outcome) or not outcome["unexpected_count"]:
            continue
        expectation = result.expectation_config.to_domain_obj()
        counted = expectation.get_validation_dependencies(
            execution_engine=validator.execution_engine, runtime_configuration=_RESULT_FORMAT
        ).metric_configurations[f"{expectation.map_metric}.unexpected_count"]
        wanted[result.expectation_config.meta["policy_id"]] = MetricConfiguration(
            metric_name=f"{expectation.map_metric}.condition",
            metric_domain_kwargs=counted.metric_domain_kwargs,
            metric_value_kwargs=counted.metric_value_kwargs,
        )
    resolved, _ = validator.metrics_calculator.compute_metrics(metric_configurations=list(wanted.values()))
    return {
        policy_id: _Condition(metric.metric_domain_kwargs, resolved[metric.id][0])
        for policy_id, metric in wanted.items()
        if metric.id in resolved
    }


def _row_query(validator: Validator, policy: Policy, condition: _Condition) -> str:
    """SQL of the rows that GX counted as failing."""
    import sqlalchemy

    engine = validator.execution_engine
    domain: Any = engine.get_domain_records(domain_kwargs=condition.domain_kwargs)
    # A plain table, or a query where the expectation has a row condition or ignores rows.
    if not isinstance(domain, sqlalchemy.Select):
        domain = sqlalchemy.select(sqlalchemy.text("*")).select_from(domain)
    rows = _compiled(engine, domain)
    duplicates = _duplicates(policy, rows)
    if duplicates is not None:
        return duplicates
    return f"SELECT * FROM ({rows}) WHERE {_compiled(engine, condition.expression)}"  # noqa: S608 - GX's own SQL


def _duplicates(policy: Policy, rows: str) -> str | None:
    """Uniqueness is the one family whose GX condition stands in a subquery of its own: said directly here."""
    if policy.type not in {"expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"}:
        return None
    names = [identifier(name) for name in policy.columns]
    keys = ", ".join(names)
    # GX compares with `=`: a key that is null in part equals no other.
    present = " AND ".join(f"{name} IS NOT NULL" for name in names)
    same = " AND ".join(f"r.{name} = d.{name}" for name in names)
    return (
        f"SELECT r.* FROM ({rows}) AS r JOIN (SELECT {keys} FROM ({rows}) WHERE {present} "  # noqa: S608
        f"GROUP BY ALL HAVING count(*) > 1) AS d ON {same}"
    )


def _free_query(policy: Policy) -> str:
    return str(policy.kwargs["unexpected_rows_query"]).replace("{batch}", CHECKED)


def _compiled(engine: Any, expression: Any) -> str:
    return str(expression.compile(dialect=engine.engine.dialect, compile_kwargs={"literal_binds": True}))


def _error_of(result: Any) -> str | None:
    """Why an expectation broke, in one line; GX nests it by metric where a metric broke."""
    info = result.exception_info or {}
    entries = [info, *(entry for entry in info.values() if isinstance(entry, dict))]
    raised = next((entry for entry in entries if entry.get("raised_exception")), None)
    if raised is None:
        return None
    message = _first_line(raised.get("exception_message"))
    # The message of a KeyError is the key alone: the traceback ends with the error's name before it.
    return message if " " in message else _first_line(str(raised.get("exception_traceback")).strip().splitlines()[-1])


def _invalid_because(error: Exception) -> str:
    """The first reason of a validation error, which says itself only how many there are."""
    reasons = error.errors() if callable(getattr(error, "errors", None)) else []  # type: ignore[attr-defined]
    if not reasons:
        return _first_line(error)
    where = ".".join(str(part) for part in reasons[0]["loc"] if part != "__root__")
    return f"{where}: {reasons[0]['msg']}" if where else str(reasons[0]["msg"])


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
