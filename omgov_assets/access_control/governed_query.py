"""What a decision leaves of a dataset, as SQL: filter the rows, then mask the columns, then answer the question.

Owns one rule: nothing that a principal asks is evaluated before masks, and nothing it asks can fail because of what it
may not see. So a ``Query`` compares columns with values of their own type and no more; SQL of a principal's own belongs
on a snapshot (``snapshot``). Does not belong here: deciding (``decision``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, TypeAlias

from omgov_assets.access_control.decision import ColumnDecision, Decision, RowScope
from omgov_assets.access_control.mask_key import MaskKey
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.masks import hmac_parameters, masked_column
from omgov_assets.data_lake.sql import identifier
from omgov_assets.model_management.access_rules import GroupThrough

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "is null", "is not null"]
Value: TypeAlias = str | int | float | bool | date
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_NULL_TESTS = frozenset({"is null", "is not null"})


class AccessDeniedError(Exception):
    """A principal may not see what it asked for."""


class QueryError(ValueError):
    """A question that cannot be asked of what the principal sees."""


@dataclass(frozen=True)
class Condition:
    """A column compared with a value of its type: with several for ``in``, none for ``is null`` and ``is not null``."""

    column: str
    operator: Operator
    value: Value | tuple[Value, ...] | None = None


@dataclass(frozen=True)
class Query:
    """A question to a dataset: columns (all where None), conditions that all must hold, and how many rows at most."""

    columns: tuple[str, ...] | None = None
    conditions: tuple[Condition, ...] = ()
    limit: int | None = None


@dataclass(frozen=True)
class GovernedSelect:
    """A SELECT with named parameters.

    Attributes:
        sql: the statement; of the tables' values and of the principal's grants it holds none.
        parameters: values by parameter. They hold the key of masks: never log them.
        versions: Delta version read by table, None where the table was never written.
    """

    sql: str
    parameters: dict[str, Any]
    versions: dict[str, int | None]


def governed_select(
    lake: Lake, decision: Decision, day: date | None, key: MaskKey | None = None, version: int | None = None
) -> GovernedSelect:
    """The rows and columns that a decision leaves of a day of a dataset (of all days where ``day`` is None).

    Columns are those of ``decision.shown``, in order and with their types; a masked one may be null. Of an earlier
    ``version`` the rows are shown that are the principal's today: who may see what is never a thing of the past.

    Raises:
        AccessDeniedError: the decision is a denial, or it was made with another key of masks.
        SchemaMismatchError: the table was written by another contract.
        UnknownVersionError: the dataset has no such version, or none that can be read any more.
    """
    _require_allowed(decision)
    if decision.mask_key != (key.fingerprint if key is not None and decision.mask_key else None):
        raise AccessDeniedError(f"{decision.dataset}: the decision was made with another key of masks; decide again")
    source, read = lake.pinned(decision.dataset, day, version=version, by_name=True)
    parameters: dict[str, Any] = {}
    versions = {decision.dataset: read}
    rows = f"FROM ({source}) AS governed"
    if decision.metric is not None:
        flag = _unused_name(decision)
        parameters["metrics_within"] = list(decision.metrics_within)
        shown = f"coalesce({identifier(decision.metric)} IN (SELECT unnest($metrics_within::VARCHAR[])), false)"
        rows = f"FROM (SELECT *, {shown} AS {identifier(flag)} {rows}) AS governed"
    else:
        flag = ""
    if decision.rows is not None:
        rows += f" WHERE {_row_condition(lake, decision.rows, day, parameters, versions)}"
    columns = ", ".join(f"{_column(column, flag)} AS {identifier(column.name)}" for column in decision.shown)
    if decision.mask_key is not None and key is not None:
        parameters |= hmac_parameters(key.secret)
    return GovernedSelect(f"SELECT {columns} {rows}", parameters, versions)


def governed_days(lake: Lake, decision: Decision, version: int | None = None) -> GovernedSelect:
    """The days of which a decision leaves rows, as one column ``day``, oldest first; errors as ``governed_select``."""
    _require_allowed(decision)
    source, read = lake.pinned(decision.dataset, version=version, by_name=True)
    parameters: dict[str, Any] = {}
    versions = {decision.dataset: read}
    where = ""
    if decision.rows is not None:
        where = f" WHERE {_row_condition(lake, decision.rows, None, parameters, versions)}"
    days = f"SELECT DISTINCT governed.day FROM ({source}) AS governed{where} ORDER BY 1"  # noqa: S608
    return GovernedSelect(days, parameters, versions)


def question(decision: Decision, query: Query, source: str) -> tuple[str, dict[str, Any]]:
    """A question to what the principal sees, as SQL with its parameters.

    Args:
        decision: says which columns there are.
        query: the question.
        source: a SELECT with those columns, of a decision's rows.

    Raises:
        QueryError: the question names a column that there is not for the principal, or compares one with a value of
            another type. The error is the same for a column that exists and one that does not.
    """
    wanted, where, parameters = asked_of(decision, query.columns, query.conditions)
    limit = ""
    if query.limit is not None:
        if query.limit < 0:
            raise QueryError("a limit is 0 or more")
        parameters["limit"] = query.limit
        limit = " LIMIT $limit"
    columns = ", ".join(identifier(name) for name in wanted)
    return f"SELECT {columns} FROM ({source}){where} ORDER BY ALL NULLS LAST{limit}", parameters  # noqa: S608


def asked_of(
    decision: Decision, columns: tuple[str, ...] | None, conditions: tuple[Condition, ...]
) -> tuple[tuple[str, ...], str, dict[str, Any]]:
    """The columns that are asked for, and the conditions as WHERE (empty for none) with its parameters.

    Raises:
        QueryError: as ``question``.
    """
    types = {column.name: column.sql_type for column in decision.shown}
    wanted = columns if columns is not None else tuple(types)
    for name in (*wanted, *(condition.column for condition in conditions)):
        if name not in types:
            raise QueryError(f"{decision.dataset} has no column {name!r}")
    if not wanted or len(set(wanted)) < len(wanted):
        raise QueryError("ask for at least one column, and for each column once")
    parameters: dict[str, Any] = {}
    terms = [_asked(number, one, types, parameters) for number, one in enumerate(conditions)]
    return wanted, f" WHERE {' AND '.join(terms)}" if terms else "", parameters


def _require_allowed(decision: Decision) -> None:
    if not decision.allowed:
        raise AccessDeniedError(f"{decision.principal} may not read {decision.dataset}: {decision.reason}")


def _column(column: ColumnDecision, flag: str) -> str:
    value = identifier(column.name) if column.mask is None else masked_column(column.name, column.sql_type, column.mask)
    return f"CASE WHEN {identifier(flag)} THEN {value} END" if column.by_metric else value


def _unused_name(decision: Decision) -> str:
    name = "metric is within clearance"
    while any(column.name == name for column in decision.columns):
        name += "_"
    return name


def _row_condition(
    lake: Lake, scope: RowScope, day: date | None, parameters: dict[str, Any], versions: dict[str, int | None]
) -> str:
    conditions = []
    if scope.system is not None:
        parameters["systems"] = list(scope.systems)
        conditions.append(f"governed.{identifier(scope.system)} IN (SELECT unnest($systems::VARCHAR[]))")
    if scope.support_group is not None:
        parameters["support_groups"] = list(scope.support_groups)
        own = "(SELECT unnest($support_groups::VARCHAR[]))"
        if isinstance(scope.support_group, GroupThrough):
            way = scope.support_group
            is_of_its_day = way.as_of == "its_day"
            known_day = day if is_of_its_day else max(lake.days(way.dataset), default=None)
            source, versions[way.dataset] = lake.pinned(way.dataset, known_day, by_name=True)
            conditions.append(
                f"EXISTS (SELECT 1 FROM ({source}) AS known "  # noqa: S608 - identifiers are quoted
                f"WHERE known.{identifier(way.key)} = governed.{identifier(way.column)} "
                f"AND known.{identifier(way.group)} IN {own}{' AND known.day = governed.day' if is_of_its_day else ''})"
            )
        else:
            conditions.append(f"governed.{identifier(scope.support_group)} IN {own}")
    if not conditions:
        return "false"
    return "(" + (" AND " if scope.match == "all" else " OR ").join(conditions) + ")"


def _asked(number: int, condition: Condition, types: dict[str, str], parameters: dict[str, Any]) -> str:
    column, sql_type = identifier(condition.column), types[condition.column]
    if condition.operator in _NULL_TESTS and condition.value is None:
        return f"{column} {condition.operator.upper()}"
    values = condition.value if condition.operator == "in" else (condition.value,)
    if (
        condition.operator not in (*_COMPARISONS, "in")
        or not isinstance(values, tuple)
        or not all(_is_of_type(value, sql_type) for value in values)
    ):
        # The value is the principal's own; still it is not repeated, as it may stand in a log.
        raise QueryError(f"{condition.column} is {sql_type}: compare it by {condition.operator!r} with a value of that")
    if condition.operator == "in":
        parameters[f"value_{number}"] = list(values)
        return f"{column} IN (SELECT unnest($value_{number}::{sql_type}[]))"
    parameters[f"value_{number}"] = condition.value
    return f"{column} {condition.operator} $value_{number}::{sql_type}"


def _is_of_type(value: object, sql_type: str) -> bool:
    match sql_type:
        case "VARCHAR":
            return isinstance(value, str)
        case "BIGINT":
            return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
        case "DOUBLE":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "DATE":
            return isinstance(value, date) and not isinstance(value, datetime)
        case "TIMESTAMPTZ":
            return isinstance(value, datetime) and value.tzinfo is not None
    return False
