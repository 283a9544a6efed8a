"""Results that depend on an order which the model does not say.

Does not belong here: a result that differs by time or chance (``forbidden``).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from omgov_assets.model_management.model_check.facts import Facts
from omgov_assets.model_management.model_check.names import column_facts
from omgov_assets.model_management.model_check.study import Scope, Study

_ORDERED_WINDOWS = frozenset({
    "row_number", "first_value", "last_value", "nth_value", "lag", "lead", "ntile", "first", "last", "any_value",
    "arbitrary", "list", "array_agg", "string_agg", "group_concat", "listagg",
})  # fmt: skip
_ONE_OF_MANY = frozenset({"first", "last", "any_value", "arbitrary"})
_COLLECTING = frozenset({"list", "array_agg", "string_agg", "group_concat", "listagg"})
# What they make of a list is the same in whatever order it is.
_ORDERLESS_USES = frozenset({
    "list_sort", "array_sort", "list_reverse_sort", "array_reverse_sort", "len", "length", "array_length", "list_sum",
    "list_avg", "list_min", "list_max", "list_count", "list_median", "list_unique", "array_unique", "list_contains",
    "list_has", "array_contains", "array_has", "list_bool_and", "list_bool_or", "list_histogram", "list_has_any",
    "list_has_all", "array_has_any", "array_has_all", "list_stddev_pop", "list_stddev_samp", "list_product",
    "cardinality",
})  # fmt: skip
_REMEDY = "say ORDER BY, with columns that tell all rows apart"


def check_window_order(window: exp.Window, function: exp.Expr, name: str, study: Study, *, is_ordered: bool) -> None:
    """A window function that looks at neighbours needs an order."""
    if name in _ORDERED_WINDOWS and not is_ordered and not _orders_itself(function):
        study.fault("order_not_determined", window, f"{name}() OVER has no ORDER BY", _REMEDY)


def check_aggregate_order(node: exp.Expr, name: str, arguments: Sequence[Facts], scope: Scope) -> None:
    """An aggregate that picks or collects values needs an order, unless there is only one value or order is lost."""
    if name not in _ONE_OF_MANY | _COLLECTING or _is_window_function(node) or _orders_itself(node):
        return
    if name in _ONE_OF_MANY and ((arguments and arguments[0].constant) or _is_same_in_group(node, scope)):
        return
    if name in _COLLECTING and _is_used_without_order(node, scope.study):
        return
    scope.study.fault("order_not_determined", node, f"{name}() has no ORDER BY", _REMEDY)


def check_limit(query: exp.Query, study: Study, *, is_single: bool) -> None:
    """A LIMIT takes other rows each time where no order is said."""
    limit = query.args.get("limit")
    if limit is None or query.args.get("order") is not None or is_single or isinstance(query.parent, exp.Exists):
        return
    count = limit.args.get("expression")
    if isinstance(count, exp.Literal) and count.name == "0":
        return
    study.fault("order_not_determined", limit, "LIMIT without ORDER BY", _REMEDY)


def _orders_itself(node: exp.Expr) -> bool:
    return any(isinstance(child, exp.Order) for child in node.iter_expressions()) or isinstance(
        node.parent, exp.WithinGroup
    )


def _is_window_function(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        parent = parent.parent
    return isinstance(parent, exp.Window)


def _is_same_in_group(node: exp.Expr, scope: Scope) -> bool:
    """Whether all that an aggregate is of has one value in each group."""
    if scope.grouped_by is None:
        return False
    columns = [column_facts(column, scope).column for column in node.find_all(exp.Column)]
    own = {source.number for source in scope.sources}
    return all(column is not None and (column[0] not in own or column in scope.grouped_by) for column in columns)


def _is_used_without_order(node: exp.Expr, study: Study) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.Paren | exp.Cast):
        parent = parent.parent
    return isinstance(parent, exp.Func) and study.text.name_of(parent) in _ORDERLESS_USES
