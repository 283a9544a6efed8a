"""Great Expectations' SQL engine as DuckDB needs it: one kept connection, and regular expressions.

Built inside functions, since the import of Great Expectations costs four seconds. Does not belong here: which
policies are evaluated.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import duckdb


@contextmanager
def execution_engine(con: duckdb.DuckDBPyConnection) -> Iterator[Any]:
    """A GX execution engine over a connection, to which the tables and views of the connection are known."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        "duckdb:///:memory:",
        creator=lambda: _connection_class()(con.cursor()),
        poolclass=sqlalchemy.pool.StaticPool,
    )
    opened = _engine_class()(engine=engine)
    try:
        yield opened
    finally:
        if opened.kept is not None:
            opened.kept.close()
        engine.dispose()


@cache
def _engine_class() -> Any:
    """The engine class; its metrics are registered with GX once per process."""
    import sqlalchemy
    from great_expectations.execution_engine import SqlAlchemyExecutionEngine

    class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
        """Keeps its connection: DuckDB streams results, and GX closes a connection before it fetches."""

        kept: sqlalchemy.Connection | None = None
        column_types: Any = None

        @contextmanager
        def get_connection(self) -> Iterator[sqlalchemy.Connection]:
            if self.kept is None:
                self.kept = self.engine.connect()
            yield self.kept

    _register_column_types(DuckDBExecutionEngine)
    _register_regex_metrics(DuckDBExecutionEngine)
    return DuckDBExecutionEngine


@cache
def _connection_class() -> Any:
    import duckdb_engine

    # Importing it makes nanobind report "leaks" at exit, on forty lines of stderr, unless its module goes first.
    atexit.register(duckdb_engine.__dict__.clear)

    class QueriesOfTheirOwn(duckdb_engine.ConnectionWrapper):
        """Begins no transaction: within one, a query that fails would leave all queries after it aborted."""

        def begin(self) -> None:
            """Begin nothing."""

        def commit(self) -> None:
            """There is nothing to commit."""

        def rollback(self) -> None:
            """There is nothing to roll back."""

    return QueriesOfTheirOwn


def _register_column_types(engine: Any) -> None:
    """Reflect the columns of the one table that an engine looks at once, where GX would for each of its passes."""
    from great_expectations.expectations.metrics.metric_provider import metric_value
    from great_expectations.expectations.metrics.table_metrics.table_column_types import ColumnTypes

    reflect = ColumnTypes._sqlalchemy

    class ReflectedOnce(ColumnTypes):
        @metric_value(engine=engine)
        def _duckdb(cls, execution_engine: Any, *arguments: Any, **named: Any) -> Any:  # noqa: N805 - GX binds the class
            if execution_engine.column_types is None:
                execution_engine.column_types = reflect(cls, execution_engine, *arguments, **named)
            return execution_engine.column_types


def _register_regex_metrics(engine: Any) -> None:
    """Say how DuckDB matches regular expressions (RE2, anywhere in the text), which GX does not know."""
    import sqlalchemy
    from great_expectations.expectations.metrics.map_metric_provider import (
        ColumnMapMetricProvider,
        column_condition_partial,
    )

    def matches(column: Any, regex: str) -> Any:
        return sqlalchemy.func.regexp_matches(column, regex)

    def combined(column: Any, regex_list: list[str], match_on: str) -> Any:
        if not regex_list or match_on not in {"any", "all"}:
            raise ValueError("regex_list must name a regular expression, and match_on be any or all")
        together = sqlalchemy.or_ if match_on == "any" else sqlalchemy.and_
        return together(*(matches(column, regex) for regex in regex_list))

    class Matches(ColumnMapMetricProvider):
        condition_metric_name = "column_values.match_regex"
        condition_value_keys = ("regex",)

        @column_condition_partial(engine=engine)
        def _duckdb(cls, column: Any, regex: str, **_: Any) -> Any:  # noqa: N805 - GX binds the class
            return matches(column, regex)

    class MatchesNot(ColumnMapMetricProvider):
        condition_metric_name = "column_values.not_match_regex"
        condition_value_keys = ("regex",)

        @column_condition_partial(engine=engine)
        def _duckdb(cls, column: Any, regex: str, **_: Any) -> Any:  # noqa: N805 - GX binds the class
            return sqlalchemy.not_(matches(column, regex))

    class MatchesList(ColumnMapMetricProvider):
        condition_metric_name = "column_values.match_regex_list"
        condition_value_keys = ("regex_list", "match_on")

        @column_condition_partial(engine=engine)
        def _duckdb(cls, column: Any, regex_list: list[str], match_on: str = "any", **_: Any) -> Any:  # noqa: N805
            return combined(column, regex_list, match_on)

    class MatchesListNot(ColumnMapMetricProvider):
        condition_metric_name = "column_values.not_match_regex_list"
        condition_value_keys = ("regex_list",)

        @column_condition_partial(engine=engine)
        def _duckdb(cls, column: Any, regex_list: list[str], **_: Any) -> Any:  # noqa: N805
            return sqlalchemy.not_(combined(column, regex_list, "any"))
