"""Conditions on rows as a query string says them: ``where=column:operator:value``, one each, which all must hold.

Everything after the second colon is the value, as it is; ``in`` takes values as a line of CSV. A value is read by the
type of its column. Does not belong here: evaluating them (``access_control``).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from omgov_assets.access_control.governed_query import Condition, Operator
from omgov_assets.interface_service.days import written_day
from omgov_assets.interface_service.problems import Problem

# Words need no percent-encoding.
OPERATORS: dict[str, Operator] = {
    "eq": "=",
    "ne": "!=",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "in": "in",
    "null": "is null",
    "not-null": "is not null",
    "=": "=",
    "!=": "!=",
    "<": "<",
    "<=": "<=",
    ">": ">",
    ">=": ">=",
}
_NULL_TESTS = ("is null", "is not null")
_BOOLEAN = re.compile("true|false")
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?", re.ASCII)
# No more digits than a time has: Python would drop them.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_MOST_VALUES = 10_000

_WRITTEN = {
    "BIGINT": "an integer of at most 64 bits, such as -12",
    "DOUBLE": "a number, such as 0.5 or 1e-3",
    "BOOLEAN": "true or false",
    "DATE": "a day, such as 2026-11-20",
    "TIMESTAMPTZ": "a time with its zone, such as 2026-11-20T08:00:00Z or 2026-11-20T16:00:00%2B08:00 (write + as %2B)",
}


class NotOfTypeError(ValueError):
    """A value that cannot be read by the type of its ``column``; the message does not repeat it."""

    def __init__(self, column: str, sql_type: str) -> None:
        super().__init__(f"{column} is {sql_type}: write {_WRITTEN[sql_type]}.")
        self.column = column


def conditions_of(said: list[str], types: Mapping[str, str]) -> tuple[Condition, ...]:
    """The conditions that values of ``where`` say.

    Args:
        said: ``column:operator:value`` each.
        types: DuckDB type by column; a value of another column is text.

    Raises:
        Problem: 400; one is not in that form.
        NotOfTypeError: a value is not of its column's type.
    """
    return tuple(_condition(one, types) for one in said)


def day_of(text: str) -> date:
    """A day as ``2026-11-20`` says it. Raises ``NotOfTypeError``."""
    day = _typed("the day", text, "DATE")
    assert isinstance(day, date)  # noqa: S101 - what DATE is
    return day


def _condition(said: str, types: Mapping[str, str]) -> Condition:
    column, _, rest = said.partition(":")
    word, colon, value = rest.partition(":")
    operator = OPERATORS.get(word)
    if not column or operator is None:
        raise Problem(400, "bad_filter", f"where: write column:operator:value; operators are {', '.join(OPERATORS)}.")
    if operator in _NULL_TESTS:
        if colon:
            raise Problem(400, "bad_filter", f"where: {word} takes no value; write column:{word}.")
        return Condition(column, operator)
    if not colon:
        raise Problem(400, "bad_filter", f"where: {word} takes a value; write column:{word}:value.")
    sql_type = types.get(column, "VARCHAR")
    if operator == "in":
        return Condition(column, operator, tuple(_typed(column, one, sql_type) for one in _values(value)))
    return Condition(column, operator, _typed(column, value, sql_type))


def _values(line: str) -> list[str]:
    try:
        # One line, though quoted values may hold line ends.
        (values,) = csv.reader(io.StringIO(line, newline=""), strict=True)
    except (csv.Error, ValueError):
        raise Problem(
            400, "bad_filter", 'where: write the values of in as a line of CSV, such as metric:in:cpu,"a, quoted one".'
        ) from None
    if len(values) > _MOST_VALUES:
        raise Problem(400, "bad_filter", f"where: in takes at most {_MOST_VALUES:,} values.")
    return values


def _typed(column: str, text: str, sql_type: str) -> Any:
    try:
        return _value(text, sql_type)
    except (ValueError, OverflowError):
        raise NotOfTypeError(column, sql_type) from None


def _value(text: str, sql_type: str) -> Any:
    match sql_type:
        case "BIGINT":
            number = int(_matched(_INTEGER, text))
            if not -(2**63) <= number < 2**63:
                raise ValueError(sql_type)
            return number
        case "DOUBLE":
            value = float(_matched(_NUMBER, text))
            if math.isinf(value):
                raise ValueError(sql_type)
            return value
        case "BOOLEAN":
            return _matched(_BOOLEAN, text) == "true"
        case "DATE":
            day = written_day(text)
            if day is None:
                raise ValueError(sql_type)
            return day
        case "TIMESTAMPTZ":
            return datetime.fromisoformat(_matched(_TIME, text)).astimezone(UTC)
    return text


def _matched(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(pattern.pattern)
    return text
