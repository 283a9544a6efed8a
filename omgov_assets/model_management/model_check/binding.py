"""Names, functions and types of a model, as DuckDB itself binds them over empty tables; nothing is run.

Does not belong here: what is forbidden although it binds (``forbidden``), and whether the output is the right one.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import duckdb
from sqlglot import exp

from omgov_assets.data_lake.isolated import isolated_connection
from omgov_assets.data_lake.lake import create_view
from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.model_check.faults import Fault
from omgov_assets.model_management.model_check.inputs import InputTable
from omgov_assets.model_management.model_check.places import Text

BIND_SECONDS = 5.0

_UNKNOWN_COLUMN = re.compile(
    r'Referenced column|does not have a column named|column "[^"]*" (does not exist|not found|in .* list not found)'
    r"|not found in FROM clause|in (EXCLUDE|REPLACE|RENAME|USING) list",
    re.IGNORECASE,
)
_MISSING = {"Table": "unknown_table", "Schema": "unknown_table", "View": "unknown_table", "Type": "type_mismatch"}
_REMEDIES = {
    "unknown_table": "read a table that the model sees",
    "unknown_column": "correct the name of the column",
    "ambiguous_column": "say of which table, as in t.column",
    "unknown_function": "use a function of DuckDB",
    "type_mismatch": "correct the expression, with an explicit cast where one is meant",
    "outside_access": "read the tables that the model is given, and nothing else",
    "not_parsable": "correct the SQL",
}


@dataclass(frozen=True)
class Bound:
    """What DuckDB makes of a model: its columns, or the fault that keeps it from being bound."""

    columns: tuple[tuple[str, str], ...]
    fault: Fault | None


class Binder:
    """A connection on which models are bound, one after another.

    The tables of the last model stay, so that models which see the same tables are bound quickly.
    """

    def __init__(self) -> None:
        self.connection = isolated_connection()
        self._tables: tuple[InputTable, ...] = ()

    def bind(self, text: Text, tables: tuple[InputTable, ...]) -> Bound:
        """Names and types of the columns that the SQL gives over the tables."""
        self._offer(tables)
        # A cancelled timer leaves nothing behind; the worst case of binding is a table function's own work.
        timer = threading.Timer(BIND_SECONDS, self.connection.interrupt)
        timer.start()
        try:
            described = self.connection.execute(_DESCRIBE + text.sql).fetchall()
        except duckdb.Error as error:
            return Bound((), self._fault(error, text, tables))
        finally:
            timer.cancel()
        return Bound(tuple((str(name), str(sql_type)) for name, sql_type, *_ in described), None)

    @cached_property
    def volatile_functions(self) -> frozenset[str]:
        """Functions that can give another result for the same arguments."""
        return self._functions("stability <> 'CONSISTENT'")

    @cached_property
    def table_functions(self) -> frozenset[str]:
        """Functions that give rows."""
        return self._functions("function_type IN ('table', 'table_macro', 'pragma')")

    @cached_property
    def aggregates(self) -> frozenset[str]:
        """Functions that make one value of many rows."""
        return self._functions("function_type = 'aggregate'")

    def _functions(self, condition: str) -> frozenset[str]:
        query = f"SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE {condition}"  # noqa: S608
        return frozenset(str(name) for (name,) in self.connection.execute(query).fetchall())

    def _offer(self, tables: tuple[InputTable, ...]) -> None:
        if tables == self._tables:
            return
        wanted = {table.name for table in tables}
        for table in self._tables:
            if table.name not in wanted:
                self.connection.execute(f"DROP VIEW {identifier(table.name)}")
        offered = {table.name: table for table in self._tables}
        for table in tables:
            if offered.get(table.name) != table:
                create_view(self.connection, table.name, f"SELECT {_columns(table)}")
        self._tables = tables

    def _fault(self, error: duckdb.Error, text: Text, tables: Iterable[InputTable]) -> Fault:
        problem, offset, details = duckdb_error(error)
        code = _code(error, problem, details)
        place = text.place_of_byte(offset - len(_DESCRIBE)) if offset >= len(_DESCRIBE) else text.place(0)
        remedy = _REMEDIES[code]
        if code == "unknown_table":
            remedy = f"{remedy}: {', '.join(sorted(table.name for table in tables))}"
        elif details.get("candidates") and code in ("unknown_column", "unknown_function"):
            remedy = f"{remedy}; near are: {details['candidates']}"
        return Fault(code, place, problem, remedy)


_DESCRIBE = "DESCRIBE "


def duckdb_error(error: duckdb.Error) -> tuple[str, int, dict[str, str]]:
    """First line of an error's message, the byte of the query that it is at (0 where unknown), and all its details."""
    text = str(error)
    try:
        details: dict[str, str] = json.loads(text[text.index("{") :])
    except ValueError:
        return text.splitlines()[0], 0, {}
    message = " ".join(details.get("exception_message", text).split("\n\t")[0].split())
    message = re.split(r" (?:Candidate (?:functions|bindings|tables)|Did you mean)\b", message)[0]
    return message, int(details.get("position") or 0), details


def named_by_alias(fault: Fault, tree: exp.Query, text: Text) -> Fault:
    """Within a subquery, DuckDB takes ``t.column`` for an unknown table where ``t`` does not have the column."""
    column = next((node for node in tree.find_all(exp.Column) if text.place_of(node) == fault.place), None)
    query = column.find_ancestor(exp.Select) if column is not None and column.table else None
    while column is not None and query is not None:
        sources = [query.args.get("from_"), *(query.args.get("joins") or [])]
        names = [source.this.alias_or_name.lower() for source in sources if source is not None]
        if column.table.lower() in names:
            problem = f"{column.table} has no column {column.name}"
            return Fault("unknown_column", fault.place, problem, _REMEDIES["unknown_column"])
        query = query.find_ancestor(exp.Select)
    return fault


def _code(error: duckdb.Error, problem: str, details: dict[str, str]) -> str:
    if isinstance(error, duckdb.PermissionException):
        return "outside_access"
    if isinstance(error, duckdb.ParserException):
        return "not_parsable"
    if isinstance(error, duckdb.CatalogException):
        kind = details.get("type", "")
        if "Function" in kind or "Macro" in kind:
            return "unknown_function"
        return _MISSING.get(kind, "unknown_table" if "schema" in problem else "type_mismatch")
    if "mbiguous" in problem:
        return "ambiguous_column"
    if problem.startswith("Referenced table"):
        return "unknown_table"
    if details.get("error_subtype") == "COLUMN_NOT_FOUND" or _UNKNOWN_COLUMN.search(problem):
        return "unknown_column"
    return "type_mismatch"


def _columns(table: InputTable) -> str:
    return ", ".join(f"NULL::{column.sql_type} AS {identifier(column.name)}" for column in table.columns)
