"""How DuckDB computes the metrics that Great Expectations does not know it to have, or computes slowly on it.

Registered with GX when imported; imports GX, so import it inside functions only. The conditions say the same as GX's
own ones for pandas; where they cannot, the policy is evaluated on pandas (``pandas_fallback``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import sqlalchemy
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.expectations import core, registry  # noqa: F401 - core registers GX's own expectations
from great_expectations.expectations.metrics.column_aggregate_metrics import column_outlier_statistics as outliers
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    MulticolumnMapMetricProvider,
    column_condition_partial,
    column_function_partial,
    multicolumn_condition_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.query_metric_provider import QueryMetricProvider
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from sqlalchemy import ColumnElement

from omgov_assets.quality_policy.duckdb_engine_for_gx import DuckDBExecutionEngine, kept_rows
from omgov_assets.quality_policy.strptime_in_sql import matches_strftime_format

# ruff: noqa: N805 - GX binds the class

Metrics = Mapping[str, Any]

# Their text is the same in DuckDB and in Python: what is asked of text can be asked of them in SQL.
_TEXT_TYPES = frozenset({"VARCHAR", "UUID"})
_WHOLE_NUMBERS = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"}
)


def has_exact_text(sql_type: str) -> bool:
    """Whether DuckDB writes values of a type as Python does."""
    return sql_type in _TEXT_TYPES or sql_type in _WHOLE_NUMBERS or sql_type.startswith(("DECIMAL(", "ENUM("))


def _text(column: ColumnElement[Any], metrics: Metrics) -> ColumnElement[Any]:
    types = {entry["name"]: str(entry["type"]) for entry in metrics["table.column_types"]}
    return column if types.get(column.name) == "VARCHAR" else sqlalchemy.cast(column, sqlalchemy.String)


class ColumnTypes(TableMetricProvider):
    """GX's SQL engine reflects nothing on DuckDB but names."""

    metric_name = "table.column_types"
    value_keys = ("include_nested",)

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(cls, execution_engine: DuckDBExecutionEngine, *_: Any, **__: Any) -> list[dict[str, Any]]:
        return execution_engine.described_columns()


# --- Regular expressions: RE2, anywhere in the text, as GX on pandas -------------------------------------------------


def _matches(column: ColumnElement[Any], regex: str, metrics: Metrics) -> ColumnElement[bool]:
    try:
        with duckdb.connect() as scratch:
            scratch.execute("SELECT regexp_matches('', ?)", [regex])
    except duckdb.Error as error:
        raise ValueError(f"RE2 refuses the regular expression {regex!r}: {str(error).splitlines()[0]}") from error
    return sqlalchemy.func.regexp_matches(_text(column, metrics), regex)


def _matches_list(
    column: ColumnElement[Any], regex_list: Sequence[str], match_on: str, metrics: Metrics
) -> ColumnElement[bool]:
    if not regex_list or match_on not in {"any", "all"}:
        raise ValueError("regex_list must name a regular expression, and match_on be any or all")
    together = sqlalchemy.or_ if match_on == "any" else sqlalchemy.and_
    return together(*(_matches(column, regex, metrics) for regex in regex_list))


class Matches(ColumnMapMetricProvider):
    """A regular expression matches."""

    condition_metric_name = "column_values.match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex: str, _metrics: Any, **_: Any) -> Any:
        return _matches(column, regex, _metrics)


class MatchesNot(ColumnMapMetricProvider):
    """A regular expression does not match."""

    condition_metric_name = "column_values.not_match_regex"
    condition_value_keys = ("regex",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex: str, _metrics: Any, **_: Any) -> Any:
        return sqlalchemy.not_(_matches(column, regex, _metrics))


class MatchesList(ColumnMapMetricProvider):
    """Any or all of some regular expressions match."""

    condition_metric_name = "column_values.match_regex_list"
    condition_value_keys = ("regex_list", "match_on")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex_list: list[str], match_on: str, _metrics: Any, **_: Any) -> Any:
        return _matches_list(column, regex_list, match_on or "any", _metrics)


class MatchesListNot(ColumnMapMetricProvider):
    """None of some regular expressions matches."""

    condition_metric_name = "column_values.not_match_regex_list"
    condition_value_keys = ("regex_list",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, regex_list: list[str], _metrics: Any, **_: Any) -> Any:
        return sqlalchemy.not_(_matches_list(column, regex_list, "any", _metrics))


# --- LIKE: GX has it for SQL alone ---------------------------------------------------------------------------------


def _like(
    column: ColumnElement[Any],
    patterns: Sequence[str],
    match_on: str,
    escape: str | None,
    metrics: Metrics,
) -> ColumnElement[bool]:
    if not patterns or match_on not in {"any", "all"}:
        raise ValueError("like_pattern_list must name a pattern, and match_on be any or all")
    together = sqlalchemy.or_ if match_on == "any" else sqlalchemy.and_
    return together(*(_text(column, metrics).like(pattern, escape=escape) for pattern in patterns))


class Like(ColumnMapMetricProvider):
    """A LIKE pattern matches."""

    condition_metric_name = "column_values.match_like_pattern"
    condition_value_keys = ("like_pattern", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, like_pattern: str, _metrics: Any, escape: Any = None, **_: Any) -> Any:
        return _like(column, [like_pattern], "all", escape, _metrics)


class LikeNot(ColumnMapMetricProvider):
    """A LIKE pattern does not match."""

    condition_metric_name = "column_values.not_match_like_pattern"
    condition_value_keys = ("like_pattern", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, like_pattern: str, _metrics: Any, escape: Any = None, **_: Any) -> Any:
        return sqlalchemy.not_(_like(column, [like_pattern], "all", escape, _metrics))


class LikeList(ColumnMapMetricProvider):
    """Any or all of some LIKE patterns match."""

    condition_metric_name = "column_values.match_like_pattern_list"
    condition_value_keys = ("like_pattern_list", "match_on", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, like_pattern_list: Any, match_on: Any, _metrics: Any, escape: Any = None, **_: Any
    ) -> Any:
        return _like(column, like_pattern_list, match_on or "any", escape, _metrics)


class LikeListNot(ColumnMapMetricProvider):
    """None of some LIKE patterns matches."""

    condition_metric_name = "column_values.not_match_like_pattern_list"
    condition_value_keys = ("like_pattern_list", "escape")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, like_pattern_list: Any, _metrics: Any, escape: Any = None, **_: Any) -> Any:
        return sqlalchemy.not_(_like(column, like_pattern_list, "any", escape, _metrics))


# --- Sets: a long one is a table --------------------------------------------------------------------------------


def _values(value_set: Sequence[Any], engine: DuckDBExecutionEngine) -> Any:
    if len(value_set) == 1 and isinstance(value_set[0], str) and value_set[0] in engine.value_tables:
        return sqlalchemy.select(sqlalchemy.column("value")).select_from(sqlalchemy.table(value_set[0]))
    return list(value_set)


class InSet(ColumnMapMetricProvider):
    """The value is in a set."""

    condition_metric_name = "column_values.in_set"
    condition_value_keys = ("value_set",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, value_set: Any, _execution_engine: Any, **_: Any) -> Any:
        if value_set is None:
            return sqlalchemy.true()
        # The rows judged are not null; a null in the set would make the comparison unknown.
        return column.in_(_values([value for value in value_set if value is not None], _execution_engine))


class NotInSet(ColumnMapMetricProvider):
    """The value is in no set."""

    condition_metric_name = "column_values.not_in_set"
    condition_value_keys = ("value_set",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, value_set: Any, _execution_engine: Any, **_: Any) -> Any:
        if value_set is None:
            return sqlalchemy.true()
        return column.not_in(_values([value for value in value_set if value is not None], _execution_engine))


# --- Text ----------------------------------------------------------------------------------------------------------


class ValueLength(ColumnMapMetricProvider):
    """Length in characters; GX asks SQL for it of text alone."""

    function_metric_name = "column_values.value_length"

    @column_function_partial(engine=DuckDBExecutionEngine)  # type: ignore[untyped-decorator]
    def _duckdb(cls, column: Any, _metrics: Any, **named: Any) -> Any:
        return sqlalchemy.func.length(_text(column, _metrics))


class MatchesStrftimeFormat(ColumnMapMetricProvider):
    """The text is a time in a format, as Python's ``strptime`` reads it."""

    condition_metric_name = "column_values.match_strftime_format"
    condition_value_keys = ("strftime_format",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, strftime_format: str, **_: Any) -> Any:
        return matches_strftime_format(column, strftime_format)


# --- Uniqueness: one condition for the count and for the rows, where GX's own stands in a subquery of its own --------


def _repeated(columns: Sequence[ColumnElement[Any]], table: Any, engine: sqlalchemy.Engine) -> Any:
    """Keys that occur more than once; a key that is null in part equals no other, as in GX's SQL."""
    source = table.subquery() if isinstance(table, sqlalchemy.Select) else table
    names: list[ColumnElement[Any]] = [sqlalchemy.column(str(column.name)) for column in columns]
    given = [name.is_not(None) for name in names]
    # Most keys occur once: their hashes are counted first, in a quarter of the memory. Equal keys have equal hashes.
    key_hash = sqlalchemy.func.hash(*names)
    candidates = (
        sqlalchemy.select(key_hash)
        .select_from(source)
        .where(*given)
        .group_by(key_hash)
        .having(sqlalchemy.func.count() > 1)
    )
    keys = (
        sqlalchemy.select(*names)
        .select_from(source)
        .where(*given, key_hash.in_(candidates))
        .group_by(*names)
        .having(sqlalchemy.func.count() > 1)
    )
    return sqlalchemy.select(key_of(names)).select_from(kept_rows(engine, keys))


def key_of(columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """The values of some columns as one value."""
    return columns[0] if len(columns) == 1 else sqlalchemy.func.row(*columns)


class Unique(ColumnMapMetricProvider):
    """The value occurs once."""

    condition_metric_name = "column_values.unique"

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, _table: Any, _sqlalchemy_engine: Any, **_: Any) -> Any:
        return column.not_in(_repeated([column], _table, _sqlalchemy_engine))


class CompoundUnique(MulticolumnMapMetricProvider):
    """The values of some columns occur together once."""

    condition_metric_name = "compound_columns.unique"
    condition_domain_keys = ("batch_id", "table", "column_list", "row_condition", "condition_parser", "ignore_row_if")

    @multicolumn_condition_partial(engine=DuckDBExecutionEngine)  # type: ignore[untyped-decorator]
    def _duckdb(cls, column_list: Any, _table: Any, _sqlalchemy_engine: Any, **_: Any) -> Any:
        return key_of(column_list).not_in(_repeated(column_list, _table, _sqlalchemy_engine))


# By these names GX knows conditions that bring a FROM clause of their own, and would leave out the table's. It reads
# them again for each query; the registration is done.
for _provider in (Unique, CompoundUnique):
    _provider.condition_metric_name += " in DuckDB"


# --- Statistics ----------------------------------------------------------------------------------------------------


class OutlierStatistics(outliers.ColumnAggregateMetricProvider):
    """What outliers are measured against: quartiles, or mean and deviation."""

    metric_name = "column.outlier_statistics"
    value_keys = ("method",)

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        execution_engine: DuckDBExecutionEngine,
        metric_domain_kwargs: Any,
        metric_value_kwargs: Any,
        metrics: Any,
        runtime_configuration: Any,
    ) -> outliers.OutlierStatistics:
        outliers.validate_method(metric_value_kwargs["method"])
        table, _, accessor = execution_engine.get_compute_domain(metric_domain_kwargs, MetricDomainTypes.COLUMN)
        source: Any = table.subquery() if isinstance(table, sqlalchemy.Select) else table
        number = sqlalchemy.cast(sqlalchemy.column(accessor["column"]), sqlalchemy.Double)
        if metric_value_kwargs["method"] == outliers.IQR_METHOD:
            low, high = (_finite(_quantile(execution_engine, source, number, share)) for share in (0.25, 0.75))
            return outliers.OutlierStatistics(low, high, None if low is None or high is None else high - low)
        # Of an infinite value there is no deviation, which DuckDB says with an error.
        infinite = sqlalchemy.func.bool_or(sqlalchemy.func.isinf(number))
        query = sqlalchemy.select(infinite).select_from(source)
        if (row := execution_engine.execute_query(query).fetchone()) is None or row[0]:
            return outliers.OutlierStatistics.symmetric(center=None, spread=None)
        query = sqlalchemy.select(sqlalchemy.func.avg(number), sqlalchemy.func.stddev_samp(number))
        center, spread = map(
            _finite, execution_engine.execute_query(query.select_from(source)).fetchone() or (None, None)
        )
        return outliers.OutlierStatistics.symmetric(center=center, spread=spread)


def _quantile(engine: DuckDBExecutionEngine, source: Any, number: ColumnElement[Any], share: float) -> float | None:
    """A quantile as numpy interpolates it; by sorting, which spills, where DuckDB's own function fills the memory."""
    counted = engine.execute_query(sqlalchemy.select(sqlalchemy.func.count(number)).select_from(source)).fetchone()
    if counted is None or counted[0] == 0:
        return None
    position = share * (counted[0] - 1)
    before = int(position)
    query = sqlalchemy.select(number).select_from(source).where(number.is_not(None)).order_by(number)
    values = [row[0] for row in engine.execute_query(query.offset(before).limit(2)).fetchall()]
    low, high, step = values[0], values[-1], position - before
    return float(low + (high - low) * step if step < 0.5 else high - (high - low) * (1 - step))


def _finite(value: Any) -> float | None:
    return outliers._to_float(value)


# --- Rows and values that GX would fetch and nobody reads: they are harvested in SQL ---------------------------------


class UnexpectedRows(QueryMetricProvider):
    """Rows of a query of the suite's own; GX counts them besides."""

    metric_name = "unexpected_rows_query.table"
    value_keys = ("unexpected_rows_query",)

    @metric_value(engine=DuckDBExecutionEngine)
    def _duckdb(cls, *_: Any, **__: Any) -> list[Any]:
        return []


def _register_no_values() -> None:
    """No sample of failing values, for which GX would send one query more for each policy."""
    for name, definition in registry._registered_metrics.items():
        if name.endswith(".unexpected_values"):
            definition["providers"][DuckDBExecutionEngine.__name__] = UnexpectedRows, UnexpectedRows._duckdb


_register_no_values()
