"""Great Expectations' SQL engine as DuckDB needs it: one kept connection, its types by name, literals without loss.

Imports Great Expectations, which costs four seconds: import this module inside functions only. Does not belong here:
how DuckDB computes a metric (``duckdb_metrics_for_gx``), which policies are evaluated.
"""

from __future__ import annotations

import atexit
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, cast
from uuid import uuid4
from weakref import WeakKeyDictionary

import duckdb
import duckdb_engine
import sqlalchemy
from great_expectations.execution_engine import SqlAlchemyExecutionEngine

from omgov_assets.data_lake.sql import identifier, literal

# At exit nanobind would report "leaks" of its classes, on forty lines of stderr, unless the module goes first.
atexit.register(duckdb_engine.__dict__.clear)


class SqlType:
    """A column's type as DuckDB writes it. Each type is a class of its own, since GX compares with ``isinstance``."""

    def __str__(self) -> str:
        return type(self).__name__


class DuckDBExecutionEngine(SqlAlchemyExecutionEngine):
    """Keeps its connection: DuckDB streams results, and GX closes a connection before it fetches."""

    open_connection: sqlalchemy.Connection | None = None
    column_types: list[dict[str, Any]] | None = None
    value_tables: frozenset[str] = frozenset()
    nan_columns: tuple[str, ...] = ()

    def __init__(self, engine: sqlalchemy.Engine, table: str) -> None:
        super().__init__(engine=engine)
        self.table = table
        # GX looks up a type by its name as an attribute of the dialect's module.
        self.dialect_module = _TypeNames("duckdb")

    @contextmanager
    def get_connection(self) -> Iterator[sqlalchemy.Connection]:
        """The one connection."""
        if self.open_connection is None:
            self.open_connection = self.engine.connect()
        yield self.open_connection

    def get_domain_records(self, domain_kwargs: dict[str, Any]) -> Any:
        """The rows that a metric looks at; GX itself cannot filter by a column whose name has a quote in it."""
        conditions = domain_kwargs.get("filter_conditions") or []
        records: Any = super().get_domain_records({k: v for k, v in domain_kwargs.items() if k != "filter_conditions"})
        for condition in conditions:
            name = condition.condition.removeprefix('col("').removesuffix('").notnull()')
            source = records.subquery() if isinstance(records, sqlalchemy.Select) else records
            present = sqlalchemy.column(name).is_not(None)
            records = sqlalchemy.select(sqlalchemy.text("*")).select_from(source).where(present)
        return records

    def sql_of(self, expression: sqlalchemy.ClauseElement) -> str:
        """SQL of a query or an expression, with its values."""
        return _with_values(expression, self.engine)

    def described_columns(self) -> list[dict[str, Any]]:
        """Names and types of the table's columns, as GX describes columns; asked for once."""
        if self.column_types is None:
            described = self.execute_query(sqlalchemy.text(f"DESCRIBE {identifier(self.table)}")).fetchall()
            self.column_types = [
                {"name": str(name), "type": sql_type_class(str(sql_type))()} for name, sql_type, *_ in described
            ]
        return self.column_types

    def sql_type(self, column: str) -> str:
        """Type of a column as DuckDB writes it; empty where there is no such column."""
        return next((str(entry["type"]) for entry in self.described_columns() if entry["name"] == column), "")


@contextmanager
def execution_engine(con: duckdb.DuckDBPyConnection, table: str) -> Iterator[DuckDBExecutionEngine]:
    """A GX execution engine over a table; it knows the tables, views and variables of the connection."""
    from omgov_assets.quality_policy import duckdb_metrics_for_gx  # noqa: F401 - registers the metrics

    engine = sqlalchemy.create_engine(
        "duckdb:///:memory:",
        creator=lambda: _QueriesOfTheirOwn(_with_variables(con)),
        poolclass=sqlalchemy.pool.StaticPool,
    )
    engine.dialect.statement_compiler = _compiler_with_exact_literals(engine.dialect.statement_compiler)
    opened = DuckDBExecutionEngine(engine, table)
    try:
        yield opened
    finally:
        if opened.open_connection is not None:
            opened.open_connection.close()
        engine.dispose()


def kept_rows(engine: sqlalchemy.Engine, query: sqlalchemy.Select[Any]) -> sqlalchemy.TableClause:
    """The rows of a query as a table, made once: GX asks for a condition to count by, and it is asked for the rows."""
    sql = _with_values(query, engine)
    tables = _kept_tables.setdefault(engine, {})
    if sql not in tables:
        name = f"kept_{uuid4().hex}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE TABLE {name} AS {sql}")
        tables[sql] = name
    return sqlalchemy.table(tables[sql])


_kept_tables: WeakKeyDictionary[sqlalchemy.Engine, dict[str, str]] = WeakKeyDictionary()


def _with_values(expression: sqlalchemy.ClauseElement, engine: sqlalchemy.Engine) -> str:
    return str(expression.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))


@cache
def sql_type_class(name: str) -> type[SqlType]:
    """The class of a type; ``DECIMAL(9,2)`` is a subclass of ``DECIMAL``."""
    base, bracket, _ = name.partition("(")
    return type(name, (sql_type_class(base) if bracket else SqlType,), {})


class _TypeNames(ModuleType):
    """Types by any name that DuckDB knows, aliases included."""

    name = "duckdb"

    def __getattr__(self, name: str) -> type[SqlType]:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            with duckdb.connect() as scratch:
                canonical = str(scratch.sqltype(name))
        except duckdb.Error as error:
            raise AttributeError(name) from error
        # Of a type that was named without its parameters, DuckDB gives the default ones.
        return sql_type_class(canonical if "(" in name else canonical.partition("(")[0])


class _QueriesOfTheirOwn(duckdb_engine.ConnectionWrapper):
    """Begins no transaction: within one, a query that fails would leave all queries after it aborted."""

    def begin(self) -> None:
        """Begin nothing."""

    def commit(self) -> None:
        """There is nothing to commit."""

    def rollback(self) -> None:
        """There is nothing to roll back."""


def _with_variables(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A second connection to the same database, where the variables have to be set once more."""
    cursor = con.cursor()
    for (name,) in con.execute("SELECT name FROM duckdb_variables()").fetchall():
        row = con.execute("SELECT getvariable($name)", {"name": name}).fetchone()
        cursor.execute(f"SET VARIABLE {identifier(name)} = $value", {"value": row and row[0]})
    return cursor


def _compiler_with_exact_literals(compiler: type[Any]) -> type[Any]:
    """A compiler whose literals are the values that GX bound when it counted."""

    class ExactLiterals(compiler):  # type: ignore[misc]
        def render_literal_value(self, value: Any, type_: Any) -> str:
            if isinstance(value, float):
                return _float_literal(value)
            # SQLAlchemy takes a backslash for an escape character, which it is not in DuckDB.
            return literal(value) if isinstance(value, str) else cast(str, super().render_literal_value(value, type_))

    return ExactLiterals


def _float_literal(value: float) -> str:
    if not math.isfinite(value):
        return f"'{value}'::DOUBLE"
    # Without an exponent it would be a DECIMAL.
    text = repr(value)
    return text if "e" in text else f"{text}e0"
