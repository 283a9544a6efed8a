"""The rows of a model's queries: sources, joins, groups, and what their columns are.

Reads each query once, from the inside out; what is wrong on the way is noted. Does not belong here: what a join does to
rows (``join_keys``), what a SELECT list stands for (``select_lists``), values (``expressions``), and whether the output
is the right one (``outputs``).
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from omgov_assets.model_management.model_check import join_keys
from omgov_assets.model_management.model_check.conditions import conjuncts, first_of_number, said_by
from omgov_assets.model_management.model_check.expressions import Expressions
from omgov_assets.model_management.model_check.facts import (
    OPAQUE,
    UNKNOWN,
    Branch,
    Facts,
    MetricValue,
    Origin,
    Read,
    Relation,
)
from omgov_assets.model_management.model_check.grouping import keys_of_output, read_groups
from omgov_assets.model_management.model_check.inputs import SOURCE, InputColumn, InputTable
from omgov_assets.model_management.model_check.ordering import check_limit
from omgov_assets.model_management.model_check.places import Place
from omgov_assets.model_management.model_check.select_lists import Item, expanded
from omgov_assets.model_management.model_check.study import Crossing, Scope, SelectRows, Source, Study
from omgov_assets.model_management.model_check.unit_algebra import merged, of_code

_MULTIPLYING = frozenset({"unnest", "explode", "generate_subscripts", "regexp_split_to_table"})


class Scopes:
    """Reads the queries of one model.

    Args:
        study: the model.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.expressions = Expressions(self._rows)

    def read(self, tree: exp.Query) -> Relation:
        """What the whole model gives."""
        return self._rows(tree, Scope(self.study))

    def _rows(self, node: exp.Expr, outer: Scope) -> Relation:
        """What a query gives, as it is seen from the scope around it."""
        outer = self._with_ctes(node, outer)
        if isinstance(node, exp.Select):
            return self._select(node, outer)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, outer)
        if isinstance(node, exp.Subquery):
            if not isinstance(node.this, exp.Query) or node.args.get("pivots") or node.args.get("joins"):
                return self._opaque(node, outer)
            relation = self._rows(node.this, outer)
            check_limit(node, self.study, is_single=relation.single)
            return relation
        if isinstance(node, exp.Values):
            return self._values(node, outer)
        return self._opaque(node, outer)

    def _with_ctes(self, node: exp.Expr, outer: Scope) -> Scope:
        clause = node.args.get("with_")
        if clause is None:
            return outer
        outer = replace(outer, ctes=dict(outer.ctes))
        for cte in clause.expressions:
            name = cte.alias.lower()
            recursive = clause.args.get("recursive") and any(
                table.name.lower() == name for table in cte.this.find_all(exp.Table)
            )
            if recursive:
                outer.ctes[name] = OPAQUE
            relation = self._rows(cte.this, outer)
            if recursive:
                # What holds of the first rows need not hold of those made of them.
                relation = Relation(dict.fromkeys(relation.columns, UNKNOWN), relation.complete)
            outer.ctes[name] = _renamed(relation, cte.args.get("alias"))
        return outer

    # --- queries

    def _select(self, node: exp.Select, outer: Scope) -> Relation:
        made = SelectRows()
        number = len(self.study.selects)
        self.study.selects.append(made)
        scope = Scope(self.study, outer, ctes=outer.ctes)
        scope.windows = {window.name.lower(): window for window in node.args.get("windows") or []}
        where = node.args["where"].this if node.args.get("where") else None
        self._read_sources(node, where, scope, made)
        # Aliases of the SELECT list can be read in WHERE; what they are follows from the list itself.
        if where is not None:
            scope.known = scope.known.also(said_by(where, scope))
            self._read_numbered(where, scope)
        groups = read_groups(node, scope, self.expressions)
        items = self._items(node, scope)
        if where is not None:
            self.expressions.of(where, scope)
        self._note_crossing(node, where, scope)
        for clause in ("having", "qualify"):
            condition = node.args[clause].this if node.args.get(clause) else None
            if condition is not None:
                self.expressions.of(condition, scope)
                known = said_by(condition, scope)
                if known.not_null or known.not_null_texts or known.metrics:
                    items = self._items(node, scope.knowing(known))
        for ordered in node.args["order"].expressions if node.args.get("order") else []:
            if isinstance(ordered, exp.Ordered) and not isinstance(ordered.this, exp.Var):
                self.expressions.of(ordered.this, scope)
        self._note_rows(node, scope, made)
        keys, numbers = keys_of_output(node, scope, groups, items)
        columns: dict[str, Facts] = {}
        for item in items:
            columns.setdefault(item.name.lower(), item.facts)
        complete = all(item.is_known for item in items)
        single = scope.single if groups is None else groups.is_single
        check_limit(node, self.study, is_single=single)
        limit = node.args.get("limit")
        if limit is not None and isinstance(limit.args.get("expression"), exp.Literal):
            single = single or limit.args["expression"].name in ("0", "1")
        branch = Branch(tuple((item.name, item.facts, item.node) for item in items if item.is_known))
        known_keys = keys if complete else None
        scanned = tuple(table for source in scope.sources for table in source.relation.scanned)
        return Relation(columns, complete, known_keys, single, numbers, (branch,), (number,), scanned)

    def _items(self, node: exp.Select, scope: Scope) -> list[Item]:
        """The columns of a SELECT list; each can be read by those behind it."""
        scope.aliases = {}
        items: list[Item] = []
        for projection in node.expressions:
            for item in expanded(projection, scope, self.expressions.of):
                items.append(item)
                if isinstance(projection, exp.Alias):
                    scope.aliases.setdefault(item.name.lower(), item.facts)
        return items

    def _set_operation(self, node: exp.SetOperation, outer: Scope) -> Relation:
        made = SelectRows()
        number = len(self.study.selects)
        self.study.selects.append(made)
        left, right = self._rows(node.this, outer), self._rows(node.expression, outer)
        word = type(node).__name__.upper()
        behind = self.study.text.offset_of(node.expression) or 0
        at = self.study.text.word_before(behind, (word,))
        made.many.append((self.study.text.place(at if at is not None else behind), word))
        columns = _united(left, right, by_name=bool(node.args.get("by_name")))
        keys = None
        if isinstance(node, exp.Except | exp.Intersect):
            keys = left.keys
        elif node.args.get("distinct"):
            keys = frozenset({frozenset(columns)})
        check_limit(node, self.study, is_single=False)
        return Relation(
            columns,
            left.complete and right.complete,
            keys,
            branches=left.branches + right.branches,
            selects=(number,),
            scanned=left.scanned + right.scanned,
        )

    def _values(self, node: exp.Values, outer: Scope) -> Relation:
        rows = [row.expressions if isinstance(row, exp.Tuple) else [row] for row in node.expressions]
        facts = [[self.expressions.of(cell, outer) for cell in row] for row in rows]
        width = min(map(len, rows))
        columns = {f"col{index}": _either([row[index] for row in facts]) for index in range(width)}
        unique = frozenset(
            frozenset({f"col{index}"})
            for index in range(width)
            if all(isinstance(row[index], exp.Literal) for row in rows)
            and len({row[index].name for row in rows}) == len(rows)
        )
        relation = Relation(columns, complete=True, keys=unique, single=len(rows) == 1, is_written_out=True)
        return _renamed(relation, node.args.get("alias"))

    def _opaque(self, node: exp.Expr, outer: Scope) -> Relation:
        """A query that is not analysed; the tables in it are read all the same."""
        for table in node.find_all(exp.Table):
            if isinstance(table.this, exp.Identifier) and table.name.lower() not in outer.ctes:
                self._note_scan(table)
        return OPAQUE

    def _note_crossing(self, node: exp.Select, where: exp.Expr | None, scope: Scope) -> None:
        """An EXISTS that is tied to the rows around it by no equality is tried for each of them."""
        outer = scope.outer
        if not isinstance(node.parent, exp.Exists) or outer is None or not scope.used_outside or not outer.sources:
            return
        if any(join_keys.is_equation(part, scope.sources, outer.sources, scope) for part in conjuncts(where)):
            return
        inner = tuple(table for source in scope.sources for table in source.relation.scanned)
        around = tuple(table for source in outer.sources for table in source.relation.scanned)
        first = node.args["from_"].this if node.args.get("from_") else node
        self.study.crossings[Crossing(self.study.text.place_of(first), (around, inner))] = None

    # --- sources

    def _read_sources(self, node: exp.Select, where: exp.Expr | None, scope: Scope, made: SelectRows) -> None:
        clause = node.args.get("from_")
        if clause is not None:
            scope.keys, scope.single = frozenset(), False
            source = self._source(clause.this, scope, made)
            scope.sources.append(source)
            scope.keys, scope.single = source.keys, source.single
            self._join_nested(clause.this, where, scope, made)
        for lateral in node.args.get("laterals") or []:
            self._join(exp.Join(this=lateral), lateral, where, scope, made)
        for join in node.args.get("joins") or []:
            self._join(join, join.this, where, scope, made)
            self._join_nested(join.this, where, scope, made)

    def _join_nested(self, node: exp.Expr, where: exp.Expr | None, scope: Scope, made: SelectRows) -> None:
        """Sqlglot hangs some joins on the table to their left."""
        for join in node.args.get("joins") or [] if isinstance(node, exp.Table) else []:
            self._join(join, join.this, where, scope, made)

    def _join(self, join: exp.Join, node: exp.Expr, where: exp.Expr | None, scope: Scope, made: SelectRows) -> None:
        before = len(scope.used_by_inner)
        source = self._source(node, scope, made)
        is_correlated = len(scope.used_by_inner) > before
        join_keys.read_join(join, source, where, scope, made, self.expressions.of, is_correlated=is_correlated)

    def _source(self, node: exp.Expr, scope: Scope, made: SelectRows) -> Source:
        alias = node.args.get("alias")
        number = next(self.study.numbers)
        if isinstance(node, exp.Lateral):
            relation = self._lateral(node, scope, made)
        elif isinstance(node, exp.Table) and not node.args.get("pivots"):
            relation = self._table(node, scope, made)
        elif isinstance(node, exp.Unnest):
            relation = self._rows_of_call(node, node.expressions, scope, made)
        else:
            relation = self._rows(node, scope)
        if not isinstance(node, exp.Values):
            relation = _renamed(relation, alias)
        name = alias.name if alias is not None and alias.name else node.name if isinstance(node, exp.Table) else ""
        made.sources[number] = relation.selects
        keys = relation.keys
        return Source(
            number=number,
            alias=name.lower(),
            columns=relation.seen_as(number),
            complete=relation.complete,
            keys=None if keys is None else frozenset(frozenset((number, column) for column in key) for key in keys),
            single=relation.single,
            relation=relation,
        )

    def _table(self, node: exp.Table, scope: Scope, made: SelectRows) -> Relation:
        if not isinstance(node.this, exp.Identifier):
            return self._rows_of_call(node, [node.this], scope, made)
        name = node.name.lower()
        if not node.db and name in scope.ctes:
            return scope.ctes[name]
        self._note_scan(node)
        table = self.study.tables.get(name)
        return _scanned(table) if table is not None else OPAQUE

    def _note_scan(self, node: exp.Table) -> None:
        self.study.scans[self.study.text.place_of(node)] = node.name.lower()

    def _rows_of_call(self, node: exp.Expr, arguments: list[exp.Expr], scope: Scope, made: SelectRows) -> Relation:
        """The rows that a table function makes: of its arguments' values, of any number."""
        reads = frozenset().union(*(self.expressions.of(argument, scope).reads for argument in arguments))
        made.many.append((self.study.text.place_of(node), "a table function"))
        alias = node.args.get("alias")
        names = [column.name.lower() for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
        return Relation(dict.fromkeys(names, Facts(reads=reads)), complete=False, keys=None)

    def _lateral(self, node: exp.Lateral, scope: Scope, made: SelectRows) -> Relation:
        inner = node.this
        if isinstance(inner, exp.Subquery):
            return self._rows(inner, scope)
        arguments = inner.expressions if isinstance(inner, exp.Unnest) else [inner]
        relation = self._rows_of_call(inner, arguments, scope, made)
        alias = node.args.get("alias")
        names = [column.name.lower() for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
        return replace(relation, columns=dict.fromkeys(names, UNKNOWN)) if names else relation

    # --- rows

    def _read_numbered(self, where: exp.Expr, scope: Scope) -> None:
        """``WHERE n = 1`` leaves one row of each partition that ``n`` numbers."""
        for part in conjuncts(where):
            column = first_of_number(part)
            if not isinstance(column, exp.Column):
                continue
            for source in scope.sources:
                numbered = source.relation.numbers.get(column.name.lower())
                if numbered is not None and column.table.lower() in ("", source.alias) and len(scope.sources) == 1:
                    key = frozenset((source.number, name) for name in numbered)
                    scope.keys = (scope.keys or frozenset()) | {key}

    def _note_rows(self, node: exp.Select, scope: Scope, made: SelectRows) -> None:
        """What of a SELECT gives more or fewer rows than its sources have."""
        text = self.study.text
        distinct, grouped = node.args.get("distinct"), node.args.get("group")
        together: list[tuple[Place, str]] = []
        begin = text.offset_of(node) or 0
        if grouped is not None:
            together.append((text.place(text.word_after(begin, ("GROUP BY", "GROUP")) or 0), "GROUP BY"))
        if distinct is not None:
            together.append((text.place(text.word_after(begin, ("DISTINCT",)) or 0), "DISTINCT"))
        for projection in node.expressions:
            for call in _own_calls(projection):
                name = text.name_of(call)
                if grouped is None and self.study.is_aggregate(call) and not _is_over(call):
                    together.append((text.place_of(call), f"the aggregate {name}()"))
                elif name in _MULTIPLYING or isinstance(call, exp.Explode):
                    made.many.append((text.place_of(call), f"{name}()"))
        made.many += together
        if any(source.relation.scanned for source in scope.sources):
            made.of_records += together


def _scanned(table: InputTable) -> Relation:
    """An input table, not yet seen through any source."""
    columns = {column.name.lower(): _input_facts(table, column) for column in table.columns}
    keys = frozenset(frozenset(name.lower() for name in key) for key in table.keys)
    return Relation(columns, complete=True, keys=keys, scanned=(table.name.lower(),))


def _input_facts(table: InputTable, column: InputColumn) -> Facts:
    return Facts(
        reads=frozenset({Read(table.name, column.name, 0 if column.of_metric else column.grade)}),
        measure=of_code(column.unit),
        metric_value=MetricValue((), None) if column.of_metric else None,
        metric_of=() if column.name == "metric" and table.name != SOURCE else None,
        null=f"{column.name} of {table.name} is optional" if column.required is False else None,
        origin=Origin((), table.name, column.name, column.sql_type),
    )


def _renamed(relation: Relation, alias: exp.Expr | None) -> Relation:
    """A relation whose columns an alias names anew."""
    names = [column.name.lower() for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
    if not names or not relation.columns:
        return relation
    old = list(relation.columns)
    new = dict(zip(old, [*names, *old[len(names) :]], strict=False))
    keys = relation.keys
    return replace(
        relation,
        columns={new[name]: facts for name, facts in relation.columns.items()},
        keys=None if keys is None else frozenset(frozenset(new[name] for name in key) for key in keys),
        numbers={new[name]: frozenset(new[part] for part in parts) for name, parts in relation.numbers.items()},
    )


def _united(left: Relation, right: Relation, *, by_name: bool) -> dict[str, Facts]:
    if by_name:
        pairs = {name: (facts, right.columns.get(name, UNKNOWN)) for name, facts in left.columns.items()}
        pairs |= {name: (facts, UNKNOWN) for name, facts in right.columns.items() if name not in pairs}
    else:
        others = [*right.columns.values(), *[UNKNOWN] * len(left.columns)]
        pairs = dict(zip(left.columns, zip(left.columns.values(), others, strict=False), strict=False))
    return {name: _either(pair) for name, pair in pairs.items()}


def _either(parts: list[Facts] | tuple[Facts, ...]) -> Facts:
    """Facts of values that are of one of several kinds."""
    measure = parts[0].measure
    for part in parts[1:]:
        measure = merged(measure, part.measure)
    null = next((part.null for part in parts if part.null is not None), None)
    return Facts(reads=frozenset().union(*(part.reads for part in parts)), measure=measure, null=null)


def _own_calls(projection: exp.Expr) -> list[exp.Func]:
    """Calls in a SELECT list, those of queries within it aside."""
    return [
        node
        for node in projection.walk(prune=lambda node: isinstance(node, exp.Query))
        if isinstance(node, exp.Func) and not isinstance(node, exp.Query)
    ]


def _is_over(call: exp.Expr) -> bool:
    parent = call.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls | exp.WithinGroup):
        parent = parent.parent
    return isinstance(parent, exp.Window)
