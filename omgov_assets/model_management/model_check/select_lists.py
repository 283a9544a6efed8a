"""The columns that a SELECT list stands for: stars and COLUMNS() written out.

Does not belong here: the values of the columns (``expressions``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import re2  # type: ignore[import-untyped] # ships no types
from sqlglot import exp

from omgov_assets.model_management.model_check.facts import UNKNOWN, Facts
from omgov_assets.model_management.model_check.names import as_known
from omgov_assets.model_management.model_check.study import Scope

FactsOf = Callable[[exp.Expr, Scope], Facts]


@dataclass(frozen=True)
class Item:
    """A column of a SELECT list.

    Attributes:
        name: name of the output column.
        facts: what is known of its values.
        node: where it stands: its expression, or the star that it comes from.
        is_known: False for what stands for columns that could not be told.
    """

    name: str
    facts: Facts
    node: exp.Expr
    is_known: bool = True


def expanded(projection: exp.Expr, scope: Scope, facts_of: FactsOf) -> Iterator[Item]:
    """The columns that an entry of a SELECT list gives, in order."""
    star = _star_of(projection)
    if star is not None:
        table = projection.table.lower() if isinstance(projection, exp.Column) else ""
        yield from _of_star(star, table, projection, scope, facts_of)
        return
    if isinstance(projection, exp.Columns):
        yield from _of_columns(projection, scope, facts_of)
        return
    if projection.find(exp.Columns) is not None or (
        isinstance(projection.find(exp.Star), exp.Star) and not _is_count(projection)
    ):
        facts_of(projection, scope)
        yield Item("", UNKNOWN, projection, is_known=False)
        return
    name = projection.alias_or_name or projection.output_name
    yield Item(name, facts_of(projection, scope), projection.unalias())


def _star_of(projection: exp.Expr) -> exp.Star | None:
    if isinstance(projection, exp.Star):
        return projection
    if isinstance(projection, exp.Column) and isinstance(projection.this, exp.Star):
        return projection.this
    return None


def _is_count(projection: exp.Expr) -> bool:
    return all(isinstance(star.parent, exp.Count) for star in projection.find_all(exp.Star))


def _of_star(star: exp.Star, table: str, node: exp.Expr, scope: Scope, facts_of: FactsOf) -> Iterator[Item]:
    left_out = {column.name.lower() for column in star.args.get("except_") or []}
    replaced = {alias.alias.lower(): alias for alias in star.args.get("replace") or []}
    renamed = {alias.this.name.lower(): alias.alias for alias in star.args.get("rename") or []}
    seen: set[str] = set()
    for source in scope.sources:
        if not source.visible or (table and source.alias != table):
            continue
        for name, facts in source.columns.items():
            if name in left_out or (name in scope.shared and name in seen):
                continue
            seen.add(name)
            if name in replaced:
                yield Item(name, facts_of(replaced[name].this, scope), replaced[name].this)
            else:
                known = as_known(scope.shared.get(name, facts) if not table else facts, scope)
                yield Item(renamed.get(name, name), known, node)
        if not source.complete:
            yield Item("", UNKNOWN, node, is_known=False)
    if table and all(source.alias != table for source in scope.sources):
        yield Item("", UNKNOWN, node, is_known=False)


def _of_columns(node: exp.Columns, scope: Scope, facts_of: FactsOf) -> Iterator[Item]:
    what = node.this
    if isinstance(what, exp.Star):
        yield from _of_star(what, "", node, scope, facts_of)
        return
    if isinstance(what, exp.Literal) and what.is_string:
        try:
            pattern = re2.compile(what.name)
        except re2.error:
            pattern = None
        if pattern is not None:
            yield from (item for item in _of_star(exp.Star(), "", node, scope, facts_of) if pattern.search(item.name))
            return
    yield Item("", UNKNOWN, node, is_known=False)
