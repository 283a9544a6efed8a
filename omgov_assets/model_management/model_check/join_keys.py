"""Whether a join can multiply rows, and what is unique in the joined rows.

Does not belong here: uniqueness in groups (``grouping``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from sqlglot import exp

from omgov_assets.model_management.model_check.conditions import conjuncts, said_by
from omgov_assets.model_management.model_check.facts import ColumnId, Facts, Keys
from omgov_assets.model_management.model_check.names import column_facts
from omgov_assets.model_management.model_check.study import Crossing, Knowledge, Scope, SelectRows, Source

FactsOf = Callable[[exp.Expr, Scope], Facts]


@dataclass
class _Condition:
    """What a join is on: columns of either side that are equal to something of the other.

    Attributes:
        new: such columns of the source that is joined.
        old: such columns of what it is joined to.
        equal: pairs of plain columns.
        is_exact: whether nothing but equations and ranges ties the two sides together: a range makes nothing unique.
        has_range: whether there is a range.
    """

    new: set[ColumnId] = field(default_factory=set)
    old: set[ColumnId] = field(default_factory=set)
    equal: list[tuple[ColumnId, ColumnId]] = field(default_factory=list)
    is_exact: bool = True
    has_range: bool = False


def read_join(
    join: exp.Join,
    source: Source,
    where: exp.Expr | None,
    scope: Scope,
    made: SelectRows,
    facts_of: FactsOf,
    *,
    is_correlated: bool,
) -> None:
    """Add a source to a scope: what its columns are there, and what the join does to the rows."""
    side, kind, method = (str(join.args.get(part) or "").upper() for part in ("side", "kind", "method"))
    before = list(scope.sources)
    scope.sources.append(source)
    on = join.args.get("on")
    condition = _Condition()
    shared = _shared_names(join, source, before)
    for name in shared:
        _share(name, source, before, scope, condition, side)
    parts = list(conjuncts(on))
    if on is None and not shared:
        parts = list(conjuncts(where))
    for part in parts:
        _read_part(part, source, before, scope, condition)
    known = said_by(on, scope) if on is not None else Knowledge()
    if on is not None:
        facts_of(on, scope)
    _add_knowledge(known, source, side, scope)
    if on is None or side == "":
        scope.equal += condition.equal
    _make_nullable(join, source, before, side, scope)
    if method != "ASOF" and not condition.old and not is_correlated:
        _note_crossing(join, source, before, scope)
    if kind in ("SEMI", "ANTI"):
        source.visible = False
        return
    if method == "ASOF":
        return
    if method == "POSITIONAL" or (is_correlated and not source.single):
        scope.keys, scope.single = None, False
        return
    said = said_by(where, scope) if where is not None else Knowledge()
    _read_rows(join, source, before, condition, known.pinned | said.pinned, scope, made)


def is_equation(part: exp.Expr, ones: Iterable[Source], others: Iterable[Source], scope: Scope) -> bool:
    """Whether a condition says that something of one side equals something of the other."""
    if not isinstance(part, exp.EQ | exp.NullSafeEQ):
        return False
    left, right = ({number for number, _ in _columns(side, scope)} for side in (part.this, part.expression))
    one, other = {source.number for source in ones}, {source.number for source in others}
    return bool(left and right) and ((left <= one and right <= other) or (left <= other and right <= one))


def _note_crossing(join: exp.Join, source: Source, before: list[Source], scope: Scope) -> None:
    sides = (
        tuple(table for other in before if not other.single for table in other.relation.scanned),
        () if source.single else source.relation.scanned,
    )
    place = scope.study.text.place_of(join.this)
    scope.study.crossings[Crossing(place, sides)] = None


def _read_rows(
    join: exp.Join,
    source: Source,
    before: list[Source],
    condition: _Condition,
    pinned: frozenset[ColumnId],
    scope: Scope,
    made: SelectRows,
) -> None:
    pinned |= scope.known.pinned
    # Equalities of an outer join hold where the other side is there, which is all that uniqueness needs.
    matching = replace(scope, equal=scope.equal + condition.equal, sources=[source])
    new_known = matching.determined_by(frozenset(condition.new | pinned))
    new_is_unique = source.single or any(key <= new_known for key in source.keys or ())
    old_known = replace(scope, sources=before).determined_by(frozenset(condition.old | pinned))
    old_is_unique = scope.single or any(key <= old_known for key in scope.keys or ())
    place = scope.study.text.place_of(join if join.parent is not None else join.this)
    words = "the join" if condition.new else "the cross join"
    is_bucket = source.relation.is_written_out and condition.has_range
    if not new_is_unique and source.keys is not None and not is_bucket:
        for earlier in before:
            made.multiplied_by.setdefault(earlier.number, []).append((place, words))
    if not old_is_unique and scope.keys is not None:
        made.multiplied_by.setdefault(source.number, []).append((place, words))
    is_known = None not in (source.keys, scope.keys) and condition.is_exact
    # Rows that stand in the model itself are multiplied by on purpose.
    is_meant = any(other.relation.is_written_out for other in (*before, source))
    if not new_is_unique and not old_is_unique and is_known and not is_meant:
        _note_fan_out(join, source, before, condition, place, scope)
    scope.keys = _joined_keys(source.keys, scope.keys, new_is_unique, old_is_unique)
    scope.single = scope.single and source.single


def _note_fan_out(
    join: exp.Join,
    source: Source,
    before: list[Source],
    condition: _Condition,
    place: tuple[int, int],
    scope: Scope,
) -> None:
    if scope.study.record_wise:
        return  # said as not_record_wise, of the rows that the output is made of
    sides = f"{', '.join(other.alias or 'a subquery' for other in before)} and {source.alias or 'a subquery'}"
    columns = ", ".join(sorted({name for _, name in condition.new}))
    problem = (
        f"{columns} is unique on neither side of the join of {sides}" if columns else f"{sides} are joined crosswise"
    )
    remedy = "join on the key of one side, or bring one side to one row for each key first"
    scope.study.fault_at("fan_out", place, problem, remedy)


def _joined_keys(new: Keys | None, old: Keys | None, new_is_unique: bool, old_is_unique: bool) -> Keys | None:
    if new_is_unique and old_is_unique:
        return (new or frozenset()) | (old or frozenset())
    if new_is_unique:
        return old
    if old_is_unique:
        return new
    if new is None or old is None:
        return None
    return frozenset(one | other for one in new for other in old)


def _shared_names(join: exp.Join, source: Source, before: list[Source]) -> list[str]:
    using = [name.name.lower() for name in join.args.get("using") or []]
    if str(join.args.get("method") or "").upper() == "NATURAL":
        using += [name for name in source.columns if any(name in other.columns for other in before)]
    return using


def _share(name: str, source: Source, before: list[Source], scope: Scope, condition: _Condition, side: str) -> None:
    new = source.columns.get(name)
    left = next((other for other in before if other.visible and name in other.columns), None)
    if new is not None and new.column is not None:
        condition.new.add(new.column)
    if left is None:
        return
    old = left.columns[name]
    if old.column is not None:
        condition.old.add(old.column)
        if new is not None and new.column is not None:
            condition.equal.append((old.column, new.column))
    if side == "FULL":
        scope.shared[name] = Facts(reads=old.reads | (new.reads if new else frozenset()), measure=old.measure)
    else:
        scope.shared[name] = new if side == "RIGHT" and new is not None else old


def _read_part(part: exp.Expr, source: Source, before: list[Source], scope: Scope, condition: _Condition) -> None:
    """One of the conditions that all must hold: an equation of both sides, or something else."""
    earlier = {other.number for other in before}
    columns = _columns(part, scope)
    touches_new = any(number == source.number for number, _ in columns)
    touches_old = any(number in earlier for number, _ in columns)
    if not (touches_new and touches_old):
        return
    if isinstance(part, exp.EQ | exp.NullSafeEQ):
        sides = [_columns(side, scope) for side in (part.this, part.expression)]
        for one, other in (sides, sides[::-1]):
            if {number for number, _ in one} == {source.number} and {number for number, _ in other} <= earlier:
                # Of an expression not more is known than that it depends on its columns.
                condition.new |= one
                condition.old |= other
                if all(isinstance(side.unnest(), exp.Column) for side in (part.this, part.expression)):
                    condition.equal.append((next(iter(other)), next(iter(one))))
                return
    is_range = isinstance(part, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Between)
    condition.has_range |= is_range
    condition.is_exact &= is_range


def _columns(node: exp.Expr, scope: Scope) -> set[ColumnId]:
    found = (column_facts(column, scope).column for column in node.find_all(exp.Column))
    return {column for column in found if column is not None}


def _add_knowledge(known: Knowledge, source: Source, side: str, scope: Scope) -> None:
    """What ON says holds of all rows of an inner join, and of the side of an outer join that it can make null."""
    if side == "":
        scope.known = scope.known.also(known)
    elif side == "LEFT":
        metrics = {instance: names for instance, names in known.metrics.items() if instance[0] == source.number}
        pinned = frozenset(column for column in known.pinned if column[0] == source.number)
        scope.known = scope.known.also(Knowledge(metrics, pinned=pinned))


def _make_nullable(join: exp.Join, source: Source, before: Iterable[Source], side: str, scope: Scope) -> None:
    on = join.args.get("on")
    always = isinstance(on, exp.Boolean) and on.this
    if side in ("LEFT", "FULL") and not (always and source.single):
        _null_out(source, f"{side} JOIN")
    if side in ("RIGHT", "FULL"):
        for other in before:
            _null_out(other, f"{side} JOIN")
        if side == "RIGHT":
            scope.shared.update({name: source.columns[name] for name in scope.shared if name in source.columns})


def _null_out(source: Source, why: str) -> None:
    source.columns_of_row = source.columns_of_row or source.columns
    source.columns = {
        name: replace(facts, null=facts.null or f"{name} is not there in every row of a {why}")
        for name, facts in source.columns.items()
    }
