"""Great Expectations on DuckDB: verdicts and counts by GX's SQL engine, and the SQL of the rows that it counted.

GX is the authority: the row conditions are asked of the same metric providers that GX counts with. What no SQL engine
can say is evaluated by GX on pandas, over the columns that the policy names. Everything that imports GX stands inside
a function, since the import costs four seconds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import duckdb

from omgov_assets.data_lake.lake import create_view, one_row
from omgov_assets.data_lake.sql import identifier
from omgov_assets.quality_policy.checked_rows import CHECKED
from omgov_assets.quality_policy.expectation_configurations import first_line, gx_configurations
from omgov_assets.quality_policy.policies import Policy
from omgov_assets.quality_policy.value_tables import with_value_tables

if TYPE_CHECKING:
    from great_expectations.validator.validator import Validator

Engine = Literal["duckdb", "pandas"]

# Counts alone: GX would otherwise also fetch sample values, which the harvest makes unnecessary.
_RESULT_FORMAT = {"result_format": {"result_format": "BASIC", "partial_unexpected_count": 0}}

# Table ``checked`` as it is judged where numbers in it are NaN: to GX on pandas NaN is missing, in SQL it is a number.
_WITHOUT_NAN = "checked_without_nan"

# Expectations that GX has a condition of on pandas only, but judges in SQL by the type of the column.
_BY_COLUMN_TYPE = frozenset({"column_values.of_type", "column_values.in_type_list"})

# Metrics that ask for the text of a value, which DuckDB and Python write differently for some types.
_OF_TEXT = frozenset(
    f"column_values.{name}"
    for name in (
        "match_regex",
        "match_regex_list",
        "match_strftime_format",
        "not_match_regex",
        "not_match_regex_list",
        "value_length.between",
        "value_length.equals",
    )
)


@dataclass(frozen=True)
class RowCondition:
    """What holds for the failing rows of ``checked``, as SQL, once NaN is taken for null in ``nan_columns``."""

    sql: str
    nan_columns: tuple[str, ...]


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
        engine: where GX evaluated it.
        missing: rows that the expectation ignores as missing.
        row_condition: what ``row_query`` selects by, where a row is told by itself.
    """

    policy: Policy
    success: bool | None
    evaluated: int | None = None
    failed: int | None = None
    row_query: str | None = None
    observed: str | None = None
    error: str | None = None
    engine: Engine = "duckdb"
    missing: int | None = None
    row_condition: RowCondition | None = None


@dataclass(frozen=True)
class _Condition:
    """Which rows GX looks at, and what holds for the failing ones: SQLAlchemy's expression, or a series of pandas."""

    domain_kwargs: Any
    expression: Any


@dataclass(frozen=True)
class _Broken:
    """In place of GX's result, where GX raised an error instead of reporting one."""

    expectation_config: Any
    error: Exception

    @property
    def exception_info(self) -> dict[str, Any]:
        """The error as GX reports one."""
        named = f"{type(self.error).__name__}: {self.error}"
        return {"raised_exception": True, "exception_message": str(self.error), "exception_traceback": named}


def null_for_nan(columns: Iterable[str]) -> str:
    """The list of a ``SELECT * REPLACE (…)`` that gives null for NaN in some columns."""
    return ", ".join(f"nullif({name}, 'NaN') AS {name}" for name in map(identifier, columns))


def preload() -> None:
    """Import Great Expectations, which takes seconds, ahead of the first evaluation; harmless to call from a thread."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations.validator.validator  # noqa: F401

    from omgov_assets.quality_policy import (  # noqa: F401
        custom_expectations,
        dynamic_baseline_expectation,
        pandas_fallback,
    )


def evaluate_policies(con: duckdb.DuckDBPyConnection, policies: Sequence[Policy]) -> list[Verdict]:
    """Evaluate policies on table ``checked`` of the connection; a policy that breaks disturbs no other.

    The row queries hold as long as the table and what else the connection knows stay as they are.

    Returns:
        One verdict per policy, in the order given.
    """
    if not policies:
        return []
    # GX prints its advice on suites, where commands print their results.
    with redirect_stdout(sys.stderr):
        return _evaluate(con, policies)


def _evaluate(con: duckdb.DuckDBPyConnection, policies: Sequence[Policy]) -> list[Verdict]:
    shortened, value_tables = with_value_tables(con, list(policies))
    by_id = {policy.policy_id: policy for policy in policies}
    configurations, broken = gx_configurations(shortened)
    verdicts = {policy_id: Verdict(by_id[policy_id], None, error=reason) for policy_id, reason in broken.items()}
    with _validator(con) as validator:
        engine: Any = validator.execution_engine
        engine.value_tables = value_tables
        engines = {policy_id: _engine_of(engine, configuration) for policy_id, configuration in configurations.items()}
        in_sql = [
            configuration for policy_id, configuration in configurations.items() if engines[policy_id] == "duckdb"
        ]
        for policy_id, result, condition in _results(validator, in_sql):
            verdicts[policy_id] = _verdict(validator, by_id[policy_id], result, condition)
        for policy_id, name in engines.items():
            if name == "pandas":
                verdicts[policy_id] = _verdict_on_pandas(con, engine, by_id[policy_id])
    return [
        verdicts.get(policy.policy_id, Verdict(policy, None, error="Great Expectations gave no result"))
        for policy in policies
    ]


@contextmanager
def _validator(con: duckdb.DuckDBPyConnection) -> Iterator[Validator]:
    from great_expectations.core.batch import Batch
    from great_expectations.execution_engine.sqlalchemy_batch_data import SqlAlchemyBatchData
    from great_expectations.validator.validator import Validator

    from omgov_assets.quality_policy.duckdb_engine_for_gx import execution_engine

    table, nan_columns = _judged_table(con)
    with execution_engine(con, table) as engine:
        engine.nan_columns = nan_columns
        batch_data: Any = SqlAlchemyBatchData(execution_engine=engine, table_name=table, create_temp_table=False)
        validator = Validator(execution_engine=engine, batches=[Batch(data=batch_data)])
        validator.metrics_calculator.show_progress_bars = False
        yield validator


def _judged_table(con: duckdb.DuckDBPyConnection) -> tuple[str, tuple[str, ...]]:
    """``checked`` itself, or a view of it with null for NaN in the columns that have any, and these columns."""
    floats = [
        name for name, sql_type, *_ in con.execute(f"DESCRIBE {CHECKED}").fetchall() if sql_type in {"DOUBLE", "FLOAT"}
    ]
    if not floats:
        return CHECKED, ()
    asked = ", ".join(f"coalesce(bool_or(isnan({identifier(name)})), false)" for name in floats)
    found = one_row(con, f"SELECT {asked} FROM {CHECKED}")  # noqa: S608 - quoted
    nan_columns = tuple(name for name, has_nan in zip(floats, found, strict=True) if has_nan)
    if not nan_columns:
        return CHECKED, ()
    create_view(con, _WITHOUT_NAN, f"SELECT * REPLACE ({null_for_nan(nan_columns)}) FROM {CHECKED}")  # noqa: S608
    return _WITHOUT_NAN, nan_columns


def _engine_of(engine: Any, configuration: Any) -> Engine:
    """Where GX can evaluate an expectation: in SQL wherever SQL says the same as pandas."""
    from great_expectations.execution_engine import PandasExecutionEngine

    from omgov_assets.quality_policy.duckdb_metrics_for_gx import has_exact_text
    from omgov_assets.quality_policy.strptime_in_sql import is_said_in_sql

    expectation = configuration.to_domain_obj()
    metric = getattr(expectation, "map_metric", None)
    if metric in _BY_COLUMN_TYPE:
        return "duckdb"
    names = [f"{metric}.condition"] if metric else list(expectation.metric_dependencies)
    if not all(_has_metric(name, engine) for name in names):
        return "pandas" if all(_has_metric(name, PandasExecutionEngine()) for name in names) else "duckdb"
    if metric in _OF_TEXT:
        sql_type = engine.sql_type(expectation.column)
        if sql_type and not has_exact_text(sql_type):
            return "pandas"
    if metric == "column_values.match_strftime_format" and not is_said_in_sql(expectation.strftime_format):
        return "pandas"
    return "duckdb"


def _has_metric(name: str, engine: Any) -> bool:
    from great_expectations.exceptions import MetricProviderError
    from great_expectations.expectations.registry import get_metric_provider

    try:
        get_metric_provider(name, engine)
    except MetricProviderError:
        return False
    return True


def _results(validator: Validator, configurations: Sequence[Any]) -> Iterator[tuple[str, Any, _Condition | None]]:
    """GX's results with the policies' ids, and the conditions of the rows that it counted."""
    results = [result for part in _told_apart(configurations) for result in _validated(validator, part)]
    conditions = _conditions(validator, [result for result in results if not isinstance(result, _Broken)])
    for result in results:
        # GX answers in an order of its own as soon as one expectation breaks: match by the policy's id.
        policy_id = result.expectation_config.meta["policy_id"]
        yield policy_id, result, conditions.get(policy_id)


def _told_apart(configurations: Sequence[Any]) -> list[list[Any]]:
    """Parts in which GX does not take one expectation's metric for another's: it asks for quantiles by column alone."""
    parts: list[list[Any]] = []
    asked: dict[str, int] = {}
    for configuration in configurations:
        part = 0
        if configuration.type == "expect_column_quantile_values_to_be_between":
            column = str(configuration.kwargs.get("column"))
            part = asked[column] = asked.get(column, -1) + 1
        while len(parts) <= part:
            parts.append([])
        parts[part].append(configuration)
    return parts


def _validated(validator: Validator, configurations: list[Any]) -> list[Any]:
    """GX's results; where GX breaks off, each expectation by itself, so that only the one that breaks is without."""
    from great_expectations.exceptions import GreatExpectationsError
    from sqlalchemy.exc import SQLAlchemyError

    library = GreatExpectationsError, SQLAlchemyError, duckdb.Error
    python = ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError
    try:
        results: list[Any] = validator.graph_validate(
            configurations=configurations, runtime_configuration=_RESULT_FORMAT
        )
    except (*library, *python) as error:
        if len(configurations) == 1:
            return [_Broken(configurations[0], error)]
        return [result for configuration in configurations for result in _validated(validator, [configuration])]
    return results


def _verdict(validator: Validator, policy: Policy, result: Any, condition: _Condition | None) -> Verdict:
    error = _error_of(result)
    if error is not None:
        return Verdict(policy, None, error=error)
    query = getattr(result.expectation_config.to_domain_obj(), "unexpected_rows_query", None)
    if query is not None:
        failed = int(result.result["observed_value"])
        table = getattr(validator.execution_engine, "table", CHECKED)
        return Verdict(policy, bool(result.success), None, failed, query.format(batch=table) if failed else None)
    verdict = _counted(policy, result)
    if not verdict.failed or verdict.evaluated is None or verdict.error is not None:
        return verdict
    if condition is None:
        return _without_condition(verdict)
    query, holds = _row_query(validator, condition)
    return replace(verdict, row_query=query, row_condition=holds)


def _verdict_on_pandas(con: duckdb.DuckDBPyConnection, engine: Any, policy: Policy) -> Verdict:
    from omgov_assets.quality_policy.pandas_fallback import frame, keep_failing_rows, pandas_validator

    # The rows of the row condition are chosen in SQL: pandas would run it as Python.
    unconditional = {k: v for k, v in policy.kwargs.items() if k not in {"row_condition", "condition_parser"}}
    try:
        rows = frame(con, engine.table, set(_texts(unconditional)), _row_condition(engine, policy))
    except duckdb.Error as error:
        return Verdict(policy, None, error=first_line(error), engine="pandas")
    configurations, _ = gx_configurations([policy.model_copy(update={"kwargs": unconditional})])
    [(_, result, condition)] = _results(pandas_validator(rows), list(configurations.values()))
    verdict = replace(_counted(policy, result), engine="pandas")
    if not verdict.failed or verdict.evaluated is None or verdict.error is not None:
        return verdict
    if condition is None:
        return _without_condition(verdict)
    return replace(verdict, row_query=keep_failing_rows(con, policy.policy_id, condition.expression))


def _row_condition(engine: Any, policy: Policy) -> str:
    """GX's SQL of a policy's row condition."""
    configurations, _ = gx_configurations([policy])
    condition = configurations[policy.policy_id].to_domain_obj().row_condition
    if condition is None:
        return "true"
    return str(engine.sql_of(engine.get_domain_records({"row_condition": condition}).whereclause))


def _texts(arguments: Any) -> Iterator[str]:
    """Every text in some arguments: among them are the names of all columns that the policy reads."""
    if isinstance(arguments, str):
        yield arguments
    elif isinstance(arguments, Mapping):
        for value in arguments.values():
            yield from _texts(value)
    elif isinstance(arguments, Iterable):
        for value in arguments:
            yield from _texts(value)


def _counted(policy: Policy, result: Any) -> Verdict:
    """The verdict without the rows."""
    error = _error_of(result)
    if error is not None:
        return Verdict(policy, None, error=error)
    outcome = result.result
    if not _counts_rows(outcome):
        observed = outcome.get("observed_value")
        text = None if observed is None else str(observed)
        return Verdict(policy, bool(result.success), None, 0 if result.success else 1, None, text)
    # GX sums over the rows of the row condition: where there are none, the sum is null.
    failed = int(outcome["unexpected_count"] or 0)
    missing = int(outcome.get("missing_count") or 0)
    return Verdict(policy, bool(result.success), int(outcome["element_count"]) - missing, failed, missing=missing)


def _without_condition(verdict: Verdict) -> Verdict:
    return replace(verdict, success=None, error="Great Expectations gives no condition of the failing rows")


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


def _row_query(validator: Validator, condition: _Condition) -> tuple[str, RowCondition | None]:
    """SQL of the rows that GX counted as failing, and as a condition where a row is told by itself."""
    import sqlalchemy

    engine: Any = validator.execution_engine
    domain: Any = engine.get_domain_records(domain_kwargs=condition.domain_kwargs)
    # A plain table, or a query where the expectation has a row condition or ignores rows.
    if not isinstance(domain, sqlalchemy.Select):
        domain = sqlalchemy.select(sqlalchemy.text("*")).select_from(domain)
    holds = engine.sql_of(condition.expression)
    query = f"SELECT * FROM ({engine.sql_of(domain)}) WHERE {holds}"  # noqa: S608 - GX's own SQL
    filters = _filters(domain)
    if filters is None or any(_looks_at_other_rows(part) for part in (*filters, condition.expression)):
        return query, None
    every = " AND ".join(f"({part})" for part in (*(engine.sql_of(part) for part in filters), holds))
    return query, RowCondition(every, engine.nan_columns)


def _filters(domain: Any) -> list[Any] | None:
    """The conditions of a query that filters one table, also step by step; None of any other query."""
    import sqlalchemy

    filters = []
    while isinstance(domain, sqlalchemy.Select):
        sources = domain.get_final_froms()
        if len(sources) != 1:
            return None
        if domain.whereclause is not None:
            filters.append(domain.whereclause)
        domain = sources[0].element if isinstance(sources[0], sqlalchemy.Subquery) else sources[0]
    return filters[::-1] if isinstance(domain, sqlalchemy.TableClause) else None


def _looks_at_other_rows(expression: Any) -> bool:
    """Whether an expression has a window in it."""
    from sqlalchemy.sql.elements import Over
    from sqlalchemy.sql.visitors import iterate

    return any(isinstance(part, Over) for part in iterate(expression))


def _error_of(result: Any) -> str | None:
    """Why an expectation broke, in one line; GX nests it by metric where a metric broke."""
    info = result.exception_info or {}
    entries = [info, *(entry for entry in info.values() if isinstance(entry, dict))]
    raised = next((entry for entry in entries if entry.get("raised_exception")), None)
    if raised is None:
        return None
    message = first_line(raised.get("exception_message"))
    # The message of a KeyError is the key alone: the traceback ends with the error's name before it.
    return message if " " in message else first_line(str(raised.get("exception_traceback")).strip().splitlines()[-1])
