"""What is known of the values of an expression: where they come from, their unit, whether they can be null.

Walks an expression once; what is wrong with units on the way is noted. Does not belong here: rows (``scopes``), names
(``names``), the arithmetic of units (``unit_algebra``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sqlglot import exp

from omgov_assets.model_management.model_check.conditions import COMPARISONS, said_by, said_otherwise, text_of
from omgov_assets.model_management.model_check.facts import (
    UNKNOWN,
    Facts,
    Relation,
    first_null,
    joined_facts,
    kept_facts,
)
from omgov_assets.model_management.model_check.function_units import (
    KEEPS_UNIT,
    MIXES_METRICS,
    NEVER_NULL,
    STRICT,
    TRIES,
    unit_of_call,
)
from omgov_assets.model_management.model_check.inputs import METRIC_TABLES
from omgov_assets.model_management.model_check.names import column_facts, name_facts
from omgov_assets.model_management.model_check.ordering import check_aggregate_order, check_window_order
from omgov_assets.model_management.model_check.study import NOTHING, Knowledge, NamedMetric, Scope
from omgov_assets.model_management.model_check.unit_algebra import (
    LITERAL,
    Measure,
    agree,
    literal,
    merged,
    negated,
    of_code,
    product,
    quotient,
    summed,
)

# Reads a query within an expression; ``scopes`` gives it, which itself reads expressions.
RelationOf = Callable[[exp.Expr, Scope], Relation]


class Expressions:
    """Reads expressions.

    Args:
        relation_of: reads the queries within them.
    """

    def __init__(self, relation_of: RelationOf) -> None:
        self._relation_of = relation_of
        self._readers: dict[type[exp.Expr], Callable[..., Facts]] = {
            exp.Column: self._column,
            exp.Identifier: lambda node, scope: name_facts(node.name.lower(), scope),
            exp.Literal: lambda node, scope: Facts(
                measure=LITERAL if node.is_string else literal(node.name), constant=True
            ),
            exp.Null: lambda node, scope: Facts(measure=LITERAL, null="NULL", constant=True),
            exp.Boolean: lambda node, scope: Facts(measure=LITERAL, constant=True),
            exp.Paren: lambda node, scope: self.of(node.this, scope),
            exp.Alias: lambda node, scope: self.of(node.this, scope),
            exp.Order: self._ordered,
            exp.Distinct: lambda node, scope: self._first_of(node.expressions, scope),
            exp.IgnoreNulls: lambda node, scope: self.of(node.this, scope),
            exp.RespectNulls: lambda node, scope: self.of(node.this, scope),
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.Neg: self._negation,
            exp.Add: lambda node, scope: self._sum(node, scope, 1),
            exp.Sub: lambda node, scope: self._sum(node, scope, -1),
            exp.Mul: self._product,
            exp.Div: self._product,
            exp.IntDiv: self._product,
            exp.Case: self._case,
            exp.If: self._if,
            exp.Coalesce: self._coalesce,
            exp.Nullif: self._nullif,
            exp.Greatest: self._choice,
            exp.Least: self._choice,
            exp.And: self._connected,
            exp.Or: self._connected,
            exp.Is: self._null_test,
            exp.In: self._membership,
            exp.Between: self._between,
            exp.Window: self._window,
            exp.Filter: self._filtered,
            exp.WithinGroup: self._within_group,
            exp.Subquery: self._subquery,
            exp.Exists: self._existence,
            exp.Lambda: self._lambda,
            exp.Comprehension: self._comprehension,
            exp.Star: lambda node, scope: UNKNOWN,
            exp.DataType: lambda node, scope: UNKNOWN,
            **{comparison: self._comparison for comparison in COMPARISONS},
            exp.NullSafeEQ: self._comparison,
            exp.NullSafeNEQ: self._comparison,
        }

    def of(self, node: exp.Expr, scope: Scope) -> Facts:
        """What is known of an expression's values in a scope."""
        reader = self._readers.get(type(node))
        if reader is not None:
            facts = reader(node, scope)
        elif isinstance(node, exp.Query):
            facts = self._subquery(node, scope)
        else:
            facts = self._call(node, scope)
        if facts.null is not None and scope.known.not_null_texts and text_of(node) in scope.known.not_null_texts:
            facts = replace(facts, null=None)
        return facts

    def condition(self, node: exp.Expr, scope: Scope) -> Knowledge:
        """Read a condition, and say what holds where it is true."""
        self.of(node, scope)
        return said_by(node, scope)

    # --- names and casts

    def _column(self, node: exp.Column, scope: Scope) -> Facts:
        if isinstance(node.this, exp.Star):
            return UNKNOWN
        facts = column_facts(node, scope)
        scope.study.column_facts[id(node)] = facts
        return facts

    def _cast(self, node: exp.Cast, scope: Scope) -> Facts:
        facts = self.of(node.this, scope)
        tries = isinstance(node, exp.TryCast)
        if facts.origin is not None and same_type(facts.origin.sql_type, node.to.sql("duckdb")):
            return facts
        is_text = node.to.is_type(*exp.DataType.TEXT_TYPES)
        null = facts.null or ("TRY_CAST" if tries and not facts.constant else None)
        kept = kept_facts(facts, null)
        return replace(kept, measure=None, metric_value=None) if is_text else replace(kept, constant=facts.constant)

    # --- arithmetic

    def _negation(self, node: exp.Neg, scope: Scope) -> Facts:
        facts = self.of(node.this, scope)
        return replace(kept_facts(facts, facts.null), measure=negated(facts.measure), constant=facts.constant)

    def _sum(self, node: exp.Binary, scope: Scope, sign: int) -> Facts:
        left, right = self.of(node.this, scope), self.of(node.expression, scope)
        self._require_agreement(node, left, right, "added" if sign > 0 else "subtracted", scope)
        result = summed(left.measure, right.measure, sign)
        return joined_facts((left, right), result, left.null or right.null)

    def _product(self, node: exp.Binary, scope: Scope) -> Facts:
        left, right = self.of(node.this, scope), self.of(node.expression, scope)
        combine = product if isinstance(node, exp.Mul) else quotient
        measure = combine(left.measure, right.measure, scope.study.seconds)
        return replace(joined_facts((left, right), measure, left.null or right.null), metric_value=None)

    # --- choices

    def _case(self, node: exp.Case, scope: Scope) -> Facts:
        operand = self.of(node.this, scope) if node.this is not None else None
        otherwise = scope
        tested: list[Facts] = [operand] if operand else []
        branches: list[tuple[exp.Expr, Facts]] = []
        for branch in node.args["ifs"]:
            if operand is not None:
                tested.append(self.of(branch.this, otherwise))
                self._require_agreement(branch.this, operand, tested[-1], "compared", scope)
                known = _said_by_when(node.this, branch.this, operand, scope)
                self._name_metric(operand, [branch.this], scope, is_read=True)
                unknown = NOTHING
            else:
                tested.append(self.of(branch.this, otherwise))
                known = said_by(branch.this, otherwise)
                unknown = said_otherwise(branch.this, otherwise)
            value = branch.args["true"]
            branches.append((value, self.of(value, otherwise.knowing(known))))
            otherwise = otherwise.knowing(unknown)
        default = node.args.get("default")
        if default is not None:
            branches.append((default, self.of(default, otherwise)))
        null = first_null(facts for _, facts in branches) or (None if default is not None else "CASE without ELSE")
        return self._chosen(branches, tested, null, scope)

    def _if(self, node: exp.If, scope: Scope) -> Facts:
        condition = self.of(node.this, scope)
        value, default = node.args["true"], node.args.get("false")
        branches = [(value, self.of(value, scope.knowing(said_by(node.this, scope))))]
        if default is not None:
            branches.append((default, self.of(default, scope.knowing(said_otherwise(node.this, scope)))))
        null = first_null(facts for _, facts in branches) or (None if default is not None else "if() without else")
        return self._chosen(branches, [condition], null, scope)

    def _coalesce(self, node: exp.Coalesce, scope: Scope) -> Facts:
        arguments = [node.this, *node.expressions]
        branches = [(argument, self.of(argument, scope)) for argument in arguments]
        nulls = [facts.null for _, facts in branches]
        return self._chosen(branches, [], nulls[0] if all(nulls) else None, scope)

    def _nullif(self, node: exp.Nullif, scope: Scope) -> Facts:
        facts, other = self.of(node.this, scope), self.of(node.expression, scope)
        self._require_agreement(node, facts, other, "compared", scope)
        return kept_facts(facts, facts.null or "NULLIF")

    def _choice(self, node: exp.Expr, scope: Scope) -> Facts:
        branches = [(child, self.of(child, scope)) for child in node.iter_expressions()]
        return self._chosen(branches, [], None, scope)

    def _chosen(
        self,
        branches: Sequence[tuple[exp.Expr, Facts]],
        tested: Iterable[Facts],
        null: str | None,
        scope: Scope,
    ) -> Facts:
        """Facts of a value that is one of several."""
        result = branches[0][1]
        measure = result.measure
        for node, facts in branches[1:]:
            self._require_agreement(node, replace(result, measure=measure), facts, "chosen between", scope)
            measure = merged(measure, facts.measure)
        reads = frozenset().union(*(facts.reads for facts in tested))
        joined = joined_facts([facts for _, facts in branches], measure, null)
        return replace(joined, reads=joined.reads | reads)

    # --- conditions

    def _connected(self, node: exp.Connector, scope: Scope) -> Facts:
        parts = list(node.flatten())
        if isinstance(node, exp.And):
            # What one part says holds in the others: `metric = 'x' AND value > 5`.
            for part in parts:
                scope = scope.knowing(said_by(part, scope))
        return Facts(reads=frozenset().union(*(self.of(part, scope).reads for part in parts)))

    def _comparison(self, node: exp.Binary, scope: Scope) -> Facts:
        left, right = self.of(node.this, scope), self.of(node.expression, scope)
        self._require_agreement(node, left, right, "compared", scope)
        is_read = isinstance(node, exp.EQ | exp.NullSafeEQ)
        if is_read or isinstance(node, exp.NEQ):
            self._name_metric(left, [node.expression], scope, is_read=is_read and not _is_denied(node))
            self._name_metric(right, [node.this], scope, is_read=is_read and not _is_denied(node))
        return Facts(reads=left.reads | right.reads)

    def _null_test(self, node: exp.Is, scope: Scope) -> Facts:
        self.of(node.this, scope)
        # Whether a value is there is not the value.
        return UNKNOWN

    def _membership(self, node: exp.In, scope: Scope) -> Facts:
        facts = self.of(node.this, scope)
        query = node.args.get("query")
        if query is not None:
            self._require_agreement(node, facts, self._subquery(query, scope), "compared", scope)
        members = node.expressions
        if len(members) == 1 and isinstance(members[0].unnest(), exp.Array | exp.Tuple):
            members = members[0].unnest().expressions
        for member in members:
            self._require_agreement(node, facts, self.of(member, scope), "compared", scope)
        self._name_metric(facts, members, scope, is_read=not _is_denied(node))
        return Facts(reads=facts.reads)

    def _between(self, node: exp.Between, scope: Scope) -> Facts:
        facts = self.of(node.this, scope)
        bounds = [self.of(node.args[bound], scope) for bound in ("low", "high")]
        for bound in bounds:
            self._require_agreement(node, facts, bound, "compared", scope)
        return Facts(reads=facts.reads.union(*(bound.reads for bound in bounds)))

    def _name_metric(self, facts: Facts, others: Iterable[exp.Expr], scope: Scope, *, is_read: bool) -> None:
        """Note the literals that a column ``metric`` is compared with."""
        if facts.metric_of is None:
            return
        reads_rows = any(read.table in METRIC_TABLES for read in facts.reads)
        for other in others:
            node = other.unnest()
            if isinstance(node, exp.Literal) and node.is_string:
                place = scope.study.text.place_of(node)
                scope.study.named_metrics[NamedMetric(node.name, place, is_read and reads_rows)] = None

    # --- rows

    def _ordered(self, node: exp.Order, scope: Scope) -> Facts:
        for ordered in node.expressions:
            self.of(ordered.this if isinstance(ordered, exp.Ordered) else ordered, scope)
        return self.of(node.this, scope) if isinstance(node.this, exp.Expr) else UNKNOWN

    def _window(self, node: exp.Window, scope: Scope) -> Facts:
        partition, order = _window_of(node, scope)
        partitions = [self.of(part, scope) for part in partition]
        for ordered in order:
            self.of(ordered.this, scope)
        function = node.this
        while isinstance(function, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
            function = function.this
        name = scope.study.text.name_of(function)
        check_window_order(node, function, name, scope.study, is_ordered=bool(order))
        facts = self.of(node.this, scope)
        if name == "row_number" and all(part.column is not None or part.constant for part in partitions):
            numbered = frozenset(part.column for part in partitions if part.column is not None)
            return replace(facts, numbered_by=numbered)
        return facts

    def _filtered(self, node: exp.Filter, scope: Scope) -> Facts:
        known = self.condition(node.expression.this, scope)
        return self.of(node.this, scope.knowing(known))

    def _within_group(self, node: exp.WithinGroup, scope: Scope) -> Facts:
        self.of(node.this, scope)
        ordered = node.expression.expressions[0]
        facts = self.of(ordered.this, scope)
        return kept_facts(facts, None)

    def _subquery(self, node: exp.Expr, scope: Scope) -> Facts:
        relation = self._relation_of(node, scope)
        first = next(iter(relation.columns.values()), UNKNOWN)
        return first.computed(first.measure)

    def _existence(self, node: exp.Exists, scope: Scope) -> Facts:
        self._relation_of(node.this, scope)
        return UNKNOWN

    def _lambda(self, node: exp.Lambda, scope: Scope) -> Facts:
        names = frozenset(parameter.name.lower() for parameter in node.expressions)
        return self.of(node.this, scope.binding(names)).computed()

    def _comprehension(self, node: exp.Comprehension, scope: Scope) -> Facts:
        facts = self.of(node.args["iterator"], scope)
        inner = scope.binding(frozenset({node.expression.name.lower()}))
        reads = facts.reads | self.of(node.this, inner).reads
        if node.args.get("condition") is not None:
            self.of(node.args["condition"], inner)
        return Facts(reads=reads)

    # --- functions

    def _call(self, node: exp.Expr, scope: Scope) -> Facts:
        """Facts of a function, by its name as it is written, or of an operator without meaning for units."""
        name = scope.study.text.name_of(node) if isinstance(node, exp.Func) else node.key
        children = [child for child in node.iter_expressions() if not isinstance(child, exp.DataType | exp.Var)]
        arguments = [self.of(child, scope) for child in children]
        if scope.study.is_aggregate(node):
            check_aggregate_order(node, name, arguments, scope)
        if name.startswith("count") or name in ("approx_count_distinct", "regr_count"):
            return Facts(measure=of_code("1"))
        values = arguments[:1] if name in ("arg_max", "arg_min", "argmax", "argmin", "max_by", "min_by") else arguments
        reads = frozenset().union(*(facts.reads for facts in values))
        is_row_function = isinstance(node.parent, exp.Window) or scope.study.is_aggregate(node)
        null = None
        if not is_row_function and (name in STRICT or isinstance(node, exp.Binary | exp.Unary)):
            null = first_null(arguments)
        if name in TRIES:
            null = null or name
        unit = unit_of_call(name, node)
        if unit is not None:
            return Facts(reads=reads, measure=unit, null=null)
        if name in KEEPS_UNIT and arguments:
            if self._mixes_metrics(node, name, arguments[0], scope):
                return Facts(reads=reads, null=null)
            kept = kept_facts(arguments[0], null)
            return replace(kept, reads=reads)
        return Facts(reads=reads, null=null, constant=not children and name in NEVER_NULL)

    def _first_of(self, nodes: Sequence[exp.Expr], scope: Scope) -> Facts:
        facts = [self.of(node, scope) for node in nodes]
        return replace(facts[0], reads=frozenset().union(*(one.reads for one in facts))) if facts else UNKNOWN

    # --- units

    def _require_agreement(self, node: exp.Expr, left: Facts, right: Facts, how: str, scope: Scope) -> None:
        if agree(left.measure, right.measure):
            return
        labels = " and ".join(_label(facts.measure) for facts in (left, right))
        problem = f"values in {labels} are {how}"
        scope.study.fault("unit_mixed", node, problem, "convert one of them to the unit of the other first")

    def _mixes_metrics(self, node: exp.Expr, name: str, facts: Facts, scope: Scope) -> bool:
        """Whether an aggregate is one over rows of several metrics in several units; notes it."""
        value = facts.metric_value
        if value is None or not value.metrics or name not in MIXES_METRICS or isinstance(node.parent, exp.Window):
            return False
        if scope.grouped_by is None or value.instance in scope.grouped_metrics:
            return False
        standard = [scope.study.standard[metric] for metric in sorted(value.metrics) if metric in scope.study.standard]
        for other in standard[1:]:
            if not agree(of_code(standard[0].unit), of_code(other.unit)):
                units = f"{standard[0].unit} ({standard[0].metric}) and {other.unit} ({other.metric})"
                problem = f"{name}() takes values in {units} together"
                scope.study.fault("unit_mixed", node, problem, "aggregate each metric by itself, as with FILTER")
                return True
        return False


def same_type(contract_type: str, sql_type: str) -> bool:
    """Whether a type as contracts write it and one as DuckDB or sqlglot write it are the same."""
    spellings = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "TEXT": "VARCHAR", "STRING": "VARCHAR", "INT8": "BIGINT"}
    one, other = contract_type.upper(), sql_type.upper().replace("TEXT", "VARCHAR")
    return one == spellings.get(other, other)


def _label(measure: Measure | None) -> str:
    return measure.label if measure else "an unknown unit"


def _is_denied(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    return isinstance(parent, exp.Not)


def _said_by_when(operand: exp.Expr, value: exp.Expr, facts: Facts, scope: Scope) -> Knowledge:
    """What a branch of ``CASE operand WHEN value`` says."""
    node = value.unnest()
    known = said_by(exp.EQ(this=operand.copy(), expression=node.copy()), scope)
    if facts.metric_of is not None and isinstance(node, exp.Literal):
        known = known.also(Knowledge({facts.metric_of: frozenset({node.name})}))
    return known


def _window_of(node: exp.Window, scope: Scope) -> tuple[list[exp.Expr], list[exp.Ordered]]:
    """Partition and order of a window, those of the named window it refers to included."""
    partition: list[exp.Expr] = list(node.args.get("partition_by") or [])
    order: list[exp.Ordered] = list(node.args["order"].expressions) if node.args.get("order") else []
    names = [node.args.get("alias"), node.args.get("first")]
    for name in names:
        named = scope.windows.get(name.name.lower()) if isinstance(name, exp.Identifier) else None
        if named is not None and named is not node:
            inherited, inherited_order = _window_of(named, scope)
            partition, order = inherited + partition, order or inherited_order
    return partition, order
