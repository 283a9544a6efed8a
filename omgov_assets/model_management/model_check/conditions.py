"""What a condition says of the rows for which it is true.

Does not belong here: what is wrong with the condition itself (``expressions``).
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from omgov_assets.model_management.model_check.facts import ColumnId
from omgov_assets.model_management.model_check.names import column_facts
from omgov_assets.model_management.model_check.study import NOTHING, Knowledge, Scope

COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
# Their result can be something although an operand is null.
_NOT_STRICT = (
    exp.Case, exp.If, exp.Coalesce, exp.Is, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Query, exp.Exists, exp.Lambda,
    exp.Window, exp.And, exp.Or, exp.Struct, exp.Array, exp.ToMap, exp.Concat, exp.ConcatWs, exp.Greatest, exp.Least,
    exp.Try,
)  # fmt: skip


def said_by(condition: exp.Expr, scope: Scope, *, true: bool = True) -> Knowledge:
    """What holds where a condition is true, or, with ``true=False``, where it is false."""
    node = condition.unnest()
    if isinstance(node, exp.Not):
        return said_by(node.this, scope, true=not true)
    if isinstance(node, exp.And | exp.Or):
        parts = [said_by(part, scope, true=true) for part in node.flatten()]
        return _all(parts) if isinstance(node, exp.And) == true else _any(parts)
    if isinstance(node, exp.Is):
        is_null = isinstance(node.expression, exp.Null)
        return NOTHING if is_null and true else _not_null([node.this], scope)
    if isinstance(node, exp.NullSafeEQ):
        return _values_of(node, scope) if true else NOTHING
    if isinstance(node, COMPARISONS):
        strict = _not_null([node.this, node.expression], scope)
        return strict.also(_values_of(node, scope)) if isinstance(node, exp.EQ) and true else strict
    if isinstance(node, exp.In):
        strict = _not_null([node.this], scope)
        return strict.also(_members_of(node, scope)) if true else strict
    if isinstance(node, _NOT_STRICT):
        return NOTHING
    return _not_null([node], scope)


def said_otherwise(condition: exp.Expr, scope: Scope) -> Knowledge:
    """What holds where a condition is not true: false or null."""
    node = condition.unnest()
    if isinstance(node, exp.And | exp.Or):
        parts = [said_otherwise(part, scope) for part in node.flatten()]
        return _any(parts) if isinstance(node, exp.And) else _all(parts)
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        return _not_null([node.this], scope)
    return NOTHING


def conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """The parts of a condition that all must hold."""
    if condition is None:
        return
    node = condition.unnest()
    if isinstance(node, exp.And):
        for part in node.flatten():
            yield from conjuncts(part)
    else:
        yield node


def first_of_number(condition: exp.Expr) -> exp.Expr | None:
    """The numbering expression of a condition that only the first number meets; None where it is no such condition."""
    if not isinstance(condition, exp.EQ | exp.LTE | exp.LT):
        return None
    number = condition.expression.unnest()
    wanted = "2" if isinstance(condition, exp.LT) else "1"
    if isinstance(number, exp.Literal) and number.name == wanted:
        found: exp.Expr = condition.this.unnest()
        return found
    return None


def text_of(node: exp.Expr) -> str:
    """An expression as SQL, by which equal ones are told."""
    return str(node.unnest().sql("duckdb", comments=False).lower())


def _values_of(node: exp.Binary, scope: Scope) -> Knowledge:
    """Of an equation: which metrics it names, and which column it pins."""
    for one, other in ((node.this, node.expression), (node.expression, node.this)):
        facts = column_facts(one.unnest(), scope) if isinstance(one.unnest(), exp.Column) else None
        if facts is None or not _is_constant(other):
            continue
        pinned = frozenset({facts.column}) if facts.column else frozenset()
        if facts.metric_of is not None and isinstance(other.unnest(), exp.Literal):
            return Knowledge({facts.metric_of: frozenset({other.unnest().name})}, pinned=pinned)
        return Knowledge(pinned=pinned)
    return NOTHING


def _members_of(node: exp.In, scope: Scope) -> Knowledge:
    members = [member.unnest() for member in node.expressions]
    if len(members) == 1 and isinstance(members[0], exp.Array | exp.Tuple):
        members = [member.unnest() for member in members[0].expressions]
    facts = column_facts(node.this.unnest(), scope) if isinstance(node.this.unnest(), exp.Column) else None
    if facts is None or not members or not all(isinstance(member, exp.Literal) for member in members):
        return NOTHING
    pinned = frozenset({facts.column}) if facts.column and len(members) == 1 else frozenset()
    if facts.metric_of is None:
        return Knowledge(pinned=pinned)
    return Knowledge({facts.metric_of: frozenset(member.name for member in members)}, pinned=pinned)


def _not_null(nodes: list[exp.Expr], scope: Scope) -> Knowledge:
    columns: set[ColumnId] = set()
    texts: set[str] = set()
    pending = list(nodes)
    while pending:
        node = pending.pop().unnest()
        if isinstance(node, _NOT_STRICT) and node not in nodes:
            continue
        texts.add(text_of(node))
        if isinstance(node, exp.Column):
            found = column_facts(node, scope).column
            if found is not None:
                columns.add(found)
        elif not isinstance(node, _NOT_STRICT) and not scope.study.is_aggregate(node):
            pending += list(node.iter_expressions())
    return Knowledge(not_null=frozenset(columns), not_null_texts=frozenset(texts))


def _all(parts: list[Knowledge]) -> Knowledge:
    result = NOTHING
    for part in parts:
        result = result.also(part)
    return result


def _any(parts: list[Knowledge]) -> Knowledge:
    result = parts[0]
    for part in parts[1:]:
        result = result.either(part)
    return result


def _is_constant(node: exp.Expr) -> bool:
    return not any(isinstance(part, exp.Column | exp.Query | exp.Window | exp.Star) for part in node.walk())
