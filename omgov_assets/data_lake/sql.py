"""Quoting for the few places where SQL cannot bind: identifiers, view definitions and Delta predicates.

Everything else binds its values.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path


def identifier(name: str) -> str:
    """Quote a name for DuckDB: a double quote within it is doubled."""
    return '"' + name.replace('"', '""') + '"'


def qualified(name: str) -> str:
    """Quote a dotted view name part by part: ``quality.anomalies`` becomes ``"quality"."anomalies"``."""
    return ".".join(identifier(part) for part in name.split("."))


def columns_or_null(wanted: Mapping[str, str], there: Collection[str]) -> str:
    """A SELECT list of the wanted columns, each as its type; null where a relation has no such column.

    Args:
        wanted: DuckDB type by column.
        there: columns of the relation.
    """
    return ", ".join(
        f"{identifier(name) if name in there else 'NULL'}::{sql_type} AS {identifier(name)}"
        for name, sql_type in wanted.items()
    )


def literal(value: str | int | float | bool | date | None) -> str:
    """Quote a value for a view definition or a Delta predicate."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return repr(value)
    text = value.isoformat() if isinstance(value, date) else value
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class OneOf:
    """A condition on a column: its value is one of these, or none of these where ``negated``."""

    values: tuple[str, ...]
    negated: bool = False


def conjunction(conditions: Mapping[str, str | date | OneOf]) -> str:
    """Conditions joined with AND, as delta-rs takes them for a predicate."""
    return " AND ".join(_condition(column, wanted) for column, wanted in conditions.items())


def _condition(column: str, wanted: str | date | OneOf) -> str:
    if not isinstance(wanted, OneOf):
        return f"{identifier(column)} = {literal(wanted)}"
    if not wanted.values:
        return "TRUE" if wanted.negated else "FALSE"
    values = ", ".join(literal(value) for value in wanted.values)
    return f"{identifier(column)} {'NOT IN' if wanted.negated else 'IN'} ({values})"


@cache
def read_sql(path: Path) -> str:
    """The text of a ``.sql`` file that lies beside the module that runs it."""
    return path.read_text(encoding="utf-8")
