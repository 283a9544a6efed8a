"""Hints of a reader about the days it wants: what certainly has no row for it is left out, and nothing else.

Owns one rule: hints are about what the reader sees. They are looked at only where ``day`` is shown as it is, and of
other columns nothing is known here, so that no hidden value can decide which files there are. A hint that is malformed
is as good as none; the reader filters what it gets once more. Does not belong here: ``limitHint`` (``tables``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeAlias

from omgov_assets.interface_service.days import written_day

DAY = "day"

# True and False are certain, None is not known.
Verdict: TypeAlias = bool | None
Wanted: TypeAlias = Callable[[date], Verdict]

_LONGEST_HINT = 65_536
_DEEPEST = 32
_MOST_NODES = 1_000
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "equal": eq,
    "lessThan": lt,
    "lessThanOrEqual": le,
    "greaterThan": gt,
    "greaterThanOrEqual": ge,
}
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "==": eq,
    "<>": ne,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}
_SIGN = "|".join(map(re.escape, sorted(_SIGNS, key=len, reverse=True)))
_LITERAL = r"(?:date\s*)?'(\d{4}-\d{2}-\d{2})'"
_COLUMN = r"[`\"]?day[`\"]?"
_COLUMN_FIRST = re.compile(rf"\s*{_COLUMN}\s*({_SIGN})\s*{_LITERAL}\s*", re.IGNORECASE | re.ASCII)
_LITERAL_FIRST = re.compile(rf"\s*{_LITERAL}\s*({_SIGN})\s*{_COLUMN}\s*", re.IGNORECASE | re.ASCII)
_NULL = re.compile(rf"\s*{_COLUMN}\s+is\s+null\s*", re.IGNORECASE | re.ASCII)


class _MalformedError(ValueError):
    """A hint that says nothing."""


def wanted_days(days: Sequence[date], json_hint: object = None, sql_hints: object = None) -> list[date]:
    """The days that may hold rows that a reader wants, in their order.

    Args:
        days: days of which it sees rows.
        json_hint: ``jsonPredicateHints`` as it came: a JSON text with a tree of operations.
        sql_hints: ``predicateHints`` as they came: a list of comparisons in SQL, which must all hold.
    """
    tests = [_of_json(json_hint), *_of_sql(sql_hints)]
    return [day for day in days if all(test(day) is not False for test in tests)]


def _of_json(hint: object) -> Wanted:
    if not isinstance(hint, str) or len(hint) > _LONGEST_HINT:
        return _unknown
    try:
        return _operation(json.loads(hint), _DEEPEST, [_MOST_NODES])
    except (ValueError, RecursionError):
        return _unknown


def _unknown(_day: date) -> Verdict:
    return None


def _operation(node: object, depth: int, left: list[int]) -> Wanted:
    left[0] -= 1
    if not isinstance(node, Mapping) or depth < 0 or left[0] < 0:
        raise _MalformedError("no operation, or too many of them")
    name, children = node.get("op"), node.get("children", [])
    if not isinstance(name, str) or not isinstance(children, list):
        raise _MalformedError("an operation has a name and children")
    if name in _COMPARISONS:
        return _comparison(_COMPARISONS[name], children)
    if name == "isNull":
        if len(children) != 1:
            raise _MalformedError("isNull is of one column")
        # A day is a folder of the table: there is none without.
        return (lambda _day: False) if _is_day(children[0]) else _unknown
    parts = [_operation(child, depth - 1, left) for child in children]
    if name == "not" and len(parts) == 1:
        return lambda day: None if (verdict := parts[0](day)) is None else not verdict
    if name == "and" and len(parts) >= 2:
        return lambda day: _all(part(day) for part in parts)
    if name == "or" and len(parts) >= 2:
        return lambda day: None if (verdict := _all(_negated(part(day)) for part in parts)) is None else not verdict
    raise _MalformedError(f"no such operation: {name[:32]}")


def _negated(verdict: Verdict) -> Verdict:
    return None if verdict is None else not verdict


def _all(verdicts: Any) -> Verdict:
    """Three-valued conjunction."""
    found = list(verdicts)
    if any(verdict is False for verdict in found):
        return False
    return None if any(verdict is None for verdict in found) else True


def _comparison(holds: Callable[[Any, Any], bool], children: Sequence[object]) -> Wanted:
    if len(children) != 2:
        raise _MalformedError("a comparison is of two")
    one, other = children
    if _is_day(one) and (value := _day_of(other)) is not None:
        return lambda day: holds(day, value)
    if _is_day(other) and (value := _day_of(one)) is not None:
        return lambda day: holds(value, day)
    return _unknown


def _is_day(node: object) -> bool:
    if not isinstance(node, Mapping) or node.get("op") not in ("column", "literal"):
        raise _MalformedError("a comparison is of columns and literals")
    name = node.get("name")
    return node["op"] == "column" and isinstance(name, str) and name.lower() == DAY


def _day_of(node: object) -> date | None:
    """The day that a literal stands for; None for a column and for whatever is no day."""
    if not isinstance(node, Mapping) or node.get("op") != "literal" or node.get("valueType") not in ("date", "string"):
        return None
    return _parsed(node.get("value"))


def _parsed(text: object) -> date | None:
    return written_day(text) if isinstance(text, str) else None


def _of_sql(hints: object) -> list[Wanted]:
    if not isinstance(hints, list) or len(hints) > _MOST_NODES:
        return []
    return [_of_one(hint) for hint in hints if isinstance(hint, str) and len(hint) <= _LONGEST_HINT]


def _of_one(hint: str) -> Wanted:
    if _NULL.fullmatch(hint):
        return lambda _day: False
    if matched := _COLUMN_FIRST.fullmatch(hint):
        sign, value = _SIGNS[matched[1]], _parsed(matched[2])
        return _unknown if value is None else lambda day: sign(day, value)
    if matched := _LITERAL_FIRST.fullmatch(hint):
        value, sign = _parsed(matched[1]), _SIGNS[matched[2]]
        return _unknown if value is None else lambda day: sign(value, day)
    return _unknown
