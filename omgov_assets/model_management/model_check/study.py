"""What the analysis of one model shares while it runs: the model's surroundings, and what was found so far.

Does not belong here: the analysis itself (``scopes``, ``expressions``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from sqlglot import exp

from omgov_assets.model_management.model_check.facts import ColumnId, Facts, Instance, Keys, Relation
from omgov_assets.model_management.model_check.faults import Fault
from omgov_assets.model_management.model_check.inputs import InputTable
from omgov_assets.model_management.model_check.places import Place, Text
from omgov_assets.model_management.standard_metrics import StandardMetric


@dataclass(frozen=True)
class NamedMetric:
    """A literal that is compared with a column ``metric``: whether rows of that metric are read by it."""

    metric: str
    place: Place
    is_read: bool


@dataclass(frozen=True)
class Crossing:
    """Two sides of which each row is held against each of the other: the tables that are read for either."""

    place: Place
    sides: tuple[tuple[str, ...], tuple[str, ...]]


@dataclass
class Study:
    """One model under analysis.

    Attributes:
        text: SQL and tokens.
        tables: what the model sees, by name.
        standard: the metric standard by name.
        aggregates: names of DuckDB's aggregate functions.
        seconds: numbers that stand for a time in seconds: interval and window of a derive model.
        record_wise: whether each row must be of one source record.
        faults: what is wrong, each once.
        scans: tables that are read, by the place where they are.
        named_metrics: literals that are compared with a column ``metric``.
        crossings: joins without any equality.
        column_facts: what was known of a column where it is read, by the identity of its node.
        selects: what was learned about each SELECT and set operation, by number.
    """

    text: Text
    tables: Mapping[str, InputTable]
    standard: Mapping[str, StandardMetric]
    aggregates: frozenset[str]
    seconds: frozenset[int]
    record_wise: bool
    faults: dict[Fault, None] = field(default_factory=dict)
    scans: dict[Place, str] = field(default_factory=dict)
    named_metrics: dict[NamedMetric, None] = field(default_factory=dict)
    crossings: dict[Crossing, None] = field(default_factory=dict)
    column_facts: dict[int, Facts] = field(default_factory=dict)
    selects: list[SelectRows] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def fault(self, code: str, node: exp.Expr, problem: str, remedy: str) -> None:
        """Note what is wrong at a node."""
        self.fault_at(code, self.text.place_of(node), problem, remedy)

    def fault_at(self, code: str, place: Place, problem: str, remedy: str) -> None:
        """Note what is wrong at a place."""
        self.faults[Fault(code, place, problem, remedy)] = None

    def is_aggregate(self, node: exp.Expr) -> bool:
        """Whether a node is the call of an aggregate function."""
        return isinstance(node, exp.Func) and self.text.name_of(node) in self.aggregates


@dataclass
class SelectRows:
    """How the rows of a SELECT come about from those of its sources.

    Attributes:
        sources: what each source is made of: number of the source to numbers in ``Study.selects``.
        many: why there may be more or fewer rows than in the sources together: place and words.
        of_records: those of them by which rows of several records come together.
        multiplied_by: source number to the joins that can multiply its rows.
    """

    sources: dict[int, tuple[int, ...]] = field(default_factory=dict)
    many: list[tuple[Place, str]] = field(default_factory=list)
    of_records: list[tuple[Place, str]] = field(default_factory=list)
    multiplied_by: dict[int, list[tuple[Place, str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Knowledge:
    """What a condition says of the rows that it lets through.

    Attributes:
        metrics: by scan, the metrics that its rows can be of.
        not_null: columns that are not null.
        not_null_texts: expressions, as SQL, that are not null.
        pinned: columns that have one value only.
    """

    metrics: Mapping[Instance, frozenset[str]] = field(default_factory=dict)
    not_null: frozenset[ColumnId] = frozenset()
    not_null_texts: frozenset[str] = frozenset()
    pinned: frozenset[ColumnId] = frozenset()

    def also(self, other: Knowledge) -> Knowledge:
        """What holds where both conditions hold."""
        metrics = dict(self.metrics)
        for instance, names in other.metrics.items():
            metrics[instance] = metrics[instance] & names if instance in metrics else names
        return Knowledge(
            metrics,
            self.not_null | other.not_null,
            self.not_null_texts | other.not_null_texts,
            self.pinned | other.pinned,
        )

    def either(self, other: Knowledge) -> Knowledge:
        """What holds where one of the conditions holds."""
        metrics = {
            instance: names | other.metrics[instance]
            for instance, names in self.metrics.items()
            if instance in other.metrics
        }
        return Knowledge(
            metrics, self.not_null & other.not_null, self.not_null_texts & other.not_null_texts, frozenset()
        )


NOTHING = Knowledge()


@dataclass
class Source:
    """A table, subquery or table function of a FROM clause.

    Attributes:
        columns: facts by name; all can be null where an outer join can leave the row out.
        columns_of_row: facts by name where the row is there.
    """

    number: int
    alias: str
    columns: dict[str, Facts]
    complete: bool
    keys: Keys | None
    single: bool
    relation: Relation
    visible: bool = True
    columns_of_row: dict[str, Facts] = field(default_factory=dict)


@dataclass
class Scope:
    """What names mean at a place of a SELECT.

    Attributes:
        outer: the SELECT around this one.
        ctes: common table expressions in reach, by name in lower case.
        sources: the FROM clause as far as it has been read.
        shared: columns that USING makes one of two.
        aliases: names given in the SELECT list.
        bound: parameters of lambdas.
        windows: named windows.
        known: what the conditions say.
        equal: columns that a condition makes equal.
        keys: sets of columns that are unique in the joined rows; None where nothing is known.
        single: whether there is at most one joined row.
        grouped_by: columns that are the same in each group; None without groups.
        grouped_metrics: scans whose groups are of one metric each.
        used_by_inner: columns of here that a SELECT within has read.
        used_outside: columns of around that were read from here.
    """

    study: Study
    outer: Scope | None = None
    ctes: dict[str, Relation] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    shared: dict[str, Facts] = field(default_factory=dict)
    aliases: dict[str, Facts] = field(default_factory=dict)
    bound: frozenset[str] = frozenset()
    windows: dict[str, exp.Window] = field(default_factory=dict)
    known: Knowledge = NOTHING
    equal: list[tuple[ColumnId, ColumnId]] = field(default_factory=list)
    keys: Keys | None = frozenset()
    single: bool = True
    grouped_by: frozenset[ColumnId] | None = None
    grouped_metrics: frozenset[Instance] = frozenset()
    used_by_inner: list[ColumnId] = field(default_factory=list)
    used_outside: list[ColumnId] = field(default_factory=list)

    def knowing(self, known: Knowledge) -> Scope:
        """The same place where a further condition holds."""
        return replace(self, known=self.known.also(known))

    def binding(self, names: frozenset[str]) -> Scope:
        """The same place within a lambda."""
        return replace(self, bound=self.bound | names)

    def determined_by(self, columns: frozenset[ColumnId]) -> frozenset[ColumnId]:
        """All columns that have one value only where the given ones have."""
        found = set(columns | self.known.pinned)
        before = -1
        while len(found) != before:
            before = len(found)
            for left, right in self.equal:
                if left in found or right in found:
                    found |= {left, right}
            for source in self.sources:
                if source.single or any(key <= found for key in source.keys or ()):
                    found |= {(source.number, name) for name in source.columns}
        return frozenset(found)
