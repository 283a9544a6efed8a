"""Groups of rows, and what is unique in the rows that a SELECT gives.

Does not belong here: uniqueness in joined rows (``join_keys``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from omgov_assets.model_management.model_check.conditions import conjuncts, first_of_number, text_of
from omgov_assets.model_management.model_check.expressions import Expressions
from omgov_assets.model_management.model_check.facts import ColumnId, Facts
from omgov_assets.model_management.model_check.names import column_facts
from omgov_assets.model_management.model_check.select_lists import Item
from omgov_assets.model_management.model_check.study import Scope

NamedKeys = frozenset[frozenset[str]]


@dataclass(frozen=True)
class Groups:
    """How rows are grouped.

    Attributes:
        nodes: what they are grouped by.
        is_plain: False for GROUPING SETS and the like, which group more than once.
        is_single: whether all rows are one group.
    """

    nodes: tuple[exp.Expr, ...]
    is_plain: bool
    is_single: bool


def read_groups(node: exp.Select, scope: Scope, expressions: Expressions) -> Groups | None:
    """Read GROUP BY, and note in the scope what is the same in each group; None where rows are not grouped."""
    clause = node.args.get("group")
    if clause is None:
        if not any(_has_aggregate(projection, scope) for projection in node.expressions):
            return None
        scope.grouped_by = scope.determined_by(frozenset())
        return Groups((), is_plain=True, is_single=True)
    nodes = [_projected(part, node) for part in clause.expressions]
    if clause.args.get("all"):
        nodes = [part.unalias() for part in node.expressions if not _has_aggregate(part, scope)]
    is_plain = not any(clause.args.get(part) for part in ("grouping_sets", "cube", "rollup")) and not any(
        isinstance(part, exp.Rollup | exp.Cube | exp.GroupingSets) for part in nodes
    )
    facts = [expressions.of(part, scope) for part in nodes] if is_plain else []
    columns = frozenset(found.column for found in facts if found.column is not None)
    scope.grouped_by = scope.determined_by(columns)
    scope.grouped_metrics = frozenset(
        found.instance
        for source in scope.sources
        for found in (column.origin for column in source.columns.values() if column.column in scope.grouped_by)
        if found is not None and found.column in ("metric", "instance_id")
    )
    return Groups(tuple(nodes), is_plain, is_single=False)


def keys_of_output(
    node: exp.Select, scope: Scope, groups: Groups | None, items: Sequence[Item]
) -> tuple[NamedKeys | None, dict[str, frozenset[str]]]:
    """Sets of output columns that are unique, and output columns that number partitions of other ones."""
    names: dict[ColumnId, str] = {}
    for item in items:
        for column in _equal_to(item.facts, scope):
            names.setdefault(column, item.name.lower())
    numbers = {}
    for item in items:
        if item.facts.numbered_by is not None:
            named = _named(item.facts.numbered_by, names, scope)
            if named is not None:
                numbers[item.name.lower()] = named
    keys = _keys(scope, groups, items, names)
    keys = _with_first_rows(node, scope, items, names, numbers, keys)
    distinct = node.args.get("distinct")
    if distinct is not None:
        on = distinct.args.get("on")
        columns = [column_of(part, items) for part in on.expressions] if on is not None else []
        key = frozenset(column for column in columns if column) if on is not None else _all_names(items)
        keys = (keys or frozenset()) | ({key} if on is None or None not in columns else frozenset())
    return keys, numbers


def column_of(node: exp.Expr, items: Iterable[Item]) -> str | None:
    """The output column that an expression is given as."""
    text = text_of(node)
    for item in items:
        if text_of(item.node) == text or (isinstance(node, exp.Column) and item.name.lower() == node.name.lower()):
            return item.name.lower()
    return None


def _keys(scope: Scope, groups: Groups | None, items: Sequence[Item], names: dict[ColumnId, str]) -> NamedKeys | None:
    if groups is None:
        if scope.keys is None:
            return None
        found = (_named(key, names, scope) for key in scope.keys)
        return frozenset(key for key in found if key is not None)
    if not groups.is_plain:
        return None
    columns = set()
    for part in groups.nodes:
        column = column_of(part, items)
        if column is None and isinstance(part, exp.Column):
            column = _output_of(part, names, scope)
            if column == "":
                continue
        if column is None:
            return frozenset()
        columns.add(column)
    return frozenset({frozenset(columns)})


def _output_of(part: exp.Column, names: dict[ColumnId, str], scope: Scope) -> str | None:
    """The output column that a grouping column is; empty where it has one value only."""
    column = column_facts(part, scope).column
    if column in scope.determined_by(frozenset()):
        return ""
    return names.get(column) if column is not None else None


def _with_first_rows(
    node: exp.Select,
    scope: Scope,
    items: Sequence[Item],
    names: dict[ColumnId, str],
    numbers: dict[str, frozenset[str]],
    keys: NamedKeys | None,
) -> NamedKeys | None:
    """QUALIFY row_number() … = 1 leaves one row of each partition."""
    qualify = node.args.get("qualify")
    for part in conjuncts(qualify.this if qualify is not None else None):
        numbering = first_of_number(part)
        if isinstance(numbering, exp.Column):
            named = numbers.get(numbering.name.lower())
        elif isinstance(numbering, exp.Window) and scope.study.text.name_of(numbering.this) == "row_number":
            parts = [column.unnest() for column in numbering.args.get("partition_by") or []]
            found = [column_of(column, items) for column in parts]
            for index, column in enumerate(parts):
                if found[index] is None and isinstance(column, exp.Column):
                    found[index] = names.get(column_facts(column, scope).column or (-1, ""))
            named = None if None in found else frozenset(column for column in found if column)
        else:
            continue
        if named is not None:
            keys = (keys or frozenset()) | {named}
    return keys


def _named(columns: Iterable[ColumnId], names: dict[ColumnId, str], scope: Scope) -> frozenset[str] | None:
    """The output columns that a set of columns is; None where one of them is not given."""
    pinned = scope.determined_by(frozenset())
    needed = [column for column in columns if column not in pinned]
    if any(column not in names for column in needed):
        return None
    return frozenset(names[column] for column in needed)


def _equal_to(facts: Facts, scope: Scope) -> set[ColumnId]:
    if facts.column is None:
        return set()
    found = {facts.column}
    before = 0
    while len(found) != before:
        before = len(found)
        for left, right in scope.equal:
            if left in found or right in found:
                found |= {left, right}
    return found


def _all_names(items: Iterable[Item]) -> frozenset[str]:
    return frozenset(item.name.lower() for item in items)


def _projected(part: exp.Expr, node: exp.Select) -> exp.Expr:
    """What GROUP BY means by a number or an alias."""
    if isinstance(part, exp.Literal) and part.name.isdigit() and 0 < int(part.name) <= len(node.expressions):
        meant: exp.Expr = node.expressions[int(part.name) - 1].unalias()
        return meant
    if isinstance(part, exp.Column) and not part.table:
        for projection in node.expressions:
            if isinstance(projection, exp.Alias) and projection.alias.lower() == part.name.lower():
                return part if isinstance(projection.this, exp.Column) else projection.this
    return part


def _has_aggregate(projection: exp.Expr, scope: Scope) -> bool:
    for node in projection.walk(prune=lambda node: isinstance(node, exp.Query)):
        if not isinstance(node, exp.Query) and scope.study.is_aggregate(node):
            parent = node.parent
            while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
                parent = parent.parent
            if not isinstance(parent, exp.Window):
                return True
    return False
