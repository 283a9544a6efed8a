"""Who sees what, said once more in plain Python: filter the rows, then mask them, then answer the question.

Rows are dictionaries; rules, principals and questions are plain data as the tests draw them. Imports nothing of omgov.
"""

from __future__ import annotations

import hashlib
import hmac
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """A policy: what it does, to whom, of what, when. None is anybody or anything."""

    name: str
    effect: str
    action: str | None
    role: str | None
    dataset: str | None
    column: str | None
    least_grade: int | None
    purpose: str | None


@dataclass(frozen=True)
class Rules:
    """All that is decided by.

    ``group`` is "", a column, "through" for the CI's group on the day of the row, or "through_last" on the last day.
    """

    roles: Mapping[str, int]
    purposes: Sequence[str]
    grants: Sequence[Grant]
    grades: Mapping[str, int]
    made_of: Mapping[str, str]
    masks: Mapping[str, str]
    system: str
    group: str
    match: str
    by_metric: Sequence[str]
    metric_grades: Mapping[str, int]


@dataclass(frozen=True)
class Asker:
    """A principal."""

    roles: frozenset[str]
    clearance: int
    purpose: str
    systems: frozenset[str]
    groups: frozenset[str]


def permitted(rules: Rules, asker: Asker, action: str, dataset: str, column: str | None) -> bool:
    """A permit and no forbid."""

    def applies(grant: Grant) -> bool:
        return (
            grant.action in (None, action)
            and (grant.role is None or grant.role in asker.roles)
            and grant.dataset in (None, dataset)
            and (grant.column is None or grant.column == column)
            and (grant.least_grade is None or (column is not None and grade(rules, column) >= grant.least_grade))
            and grant.purpose in (None, asker.purpose)
        )

    effects = {grant.effect for grant in rules.grants if applies(grant)}
    return "permit" in effects and "forbid" not in effects


def grade(rules: Rules, column: str) -> int:
    """The highest of a column and what it is made of."""
    source = rules.made_of.get(column)
    if source is None:
        return rules.grades[column]
    return max(rules.grades[column], grade(rules, source) if source in rules.grades else 4)


def shown_columns(rules: Rules, asker: Asker, dataset: str, key: bytes | None) -> dict[str, str | None]:
    """Mask by column that is shown; None for one shown as it is."""
    shown: dict[str, str | None] = {}
    for column in rules.grades:
        if grade(rules, column) <= asker.clearance and permitted(rules, asker, "see", dataset, column):
            shown[column] = None
        elif permitted(rules, asker, "see_masked", dataset, column):
            mask = rules.masks.get(column)
            if mask not in (None, "drop") and (mask != "hmac" or key is not None):
                shown[column] = mask
    return shown


def may_read(rules: Rules, asker: Asker, dataset: str, key: bytes | None) -> bool:
    """Whether there is anything to see."""
    return (
        bool(asker.roles)
        and asker.roles <= rules.roles.keys()
        and asker.purpose in rules.purposes
        and asker.clearance <= max(rules.roles[role] for role in asker.roles)
        and permitted(rules, asker, "read", dataset, None)
        and (permitted(rules, asker, "read_all_rows", dataset, None) or bool(rules.system or rules.group))
        and bool(shown_columns(rules, asker, dataset, key))
    )


def is_visible(rules: Rules, asker: Asker, dataset: str, row: Row, group_of_ci: Mapping[tuple[date, str], str]) -> bool:
    """Whether a row is the asker's."""
    if permitted(rules, asker, "read_all_rows", dataset, None):
        return True
    hits = []
    if rules.system:
        hits.append(row[rules.system] in asker.systems)
    if rules.group:
        hits.append(_group_of(rules, row, group_of_ci) in asker.groups)
    return all(hits) if rules.match == "all" else any(hits)


def _group_of(rules: Rules, row: Row, group_of_ci: Mapping[tuple[date, str], str]) -> Any:
    if rules.group == "through":
        return group_of_ci.get((row["day"], row["ci"]))
    if rules.group == "through_last":
        return group_of_ci.get((max((day for day, _ in group_of_ci), default=row["day"]), row["ci"]))
    return row[rules.group]


def hides_cell(rules: Rules, asker: Asker, row: Row, column: str) -> bool:
    """Whether the metric of the row is graded above the clearance."""
    return (
        column in rules.by_metric
        and asker.clearance < 4
        and rules.metric_grades.get(row["metric"], 4) > asker.clearance
    )


def masked(column: str, mask: str | None, value: Any, key: bytes | None) -> Any:
    """What is shown of a value."""
    if mask is None or value is None:
        return value
    match mask:
        case "nullify":
            return None
        case "partial":
            return value[:1] + "***"
        case "hmac":
            return hmac.new(key or b"", f"{column}\x1f{value}".encode(), hashlib.sha256).hexdigest()[:32]
        case "to_day":
            first = {}
        case "to_month":
            first = {"day": 1}
        case "to_quarter":
            first = {"day": 1, "month": (value.month - 1) // 3 * 3 + 1}
        case "to_year":
            first = {"day": 1, "month": 1}
        case _:
            raise AssertionError(mask)
    midnight = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0} if isinstance(value, datetime) else {}
    return value.replace(**first, **midnight)


def seen(
    rules: Rules,
    asker: Asker,
    dataset: str,
    rows: Sequence[Row],
    group_of_ci: Mapping[tuple[date, str], str],
    key: bytes | None,
) -> list[Row]:
    """What the asker sees of the rows, in any order."""
    shown = shown_columns(rules, asker, dataset, key)
    return [
        {
            column: None if hides_cell(rules, asker, row, column) else masked(column, mask, row[column], key)
            for column, mask in shown.items()
        }
        for row in rows
        if is_visible(rules, asker, dataset, row, group_of_ci)
    ]


_OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def answered(
    rows: Sequence[Row], columns: Sequence[str], conditions: Sequence[tuple[str, str, Any]], limit: int | None
) -> list[Row]:
    """Rows that meet all conditions, cut down to the columns, in their order, nulls last."""

    def meets(row: Row) -> bool:
        for column, sign, value in conditions:
            if sign in ("is null", "is not null"):
                if (row[column] is None) != (sign == "is null"):
                    return False
            elif row[column] is None or not _OPERATORS[sign](row[column], value):
                return False
        return True

    kept = [{column: row[column] for column in columns} for row in rows if meets(row)]
    kept.sort(key=lambda row: [(value is None, 0 if value is None else value) for value in row.values()])
    return kept[:limit]
