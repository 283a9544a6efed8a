"""What is known of the values of an expression, and of the rows of a relation.

Does not belong here: finding it out (``expressions``, ``scopes``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from omgov_assets.model_management.model_check.unit_algebra import Measure

# A scan of a table, seen through the sources that it was read through: the numbers of those sources, outermost first.
Instance = tuple[int, ...]
# A column of a source of one SELECT: the number of the source, the name in lower case.
ColumnId = tuple[int, str]
Keys = frozenset[frozenset[ColumnId]]


@dataclass(frozen=True)
class Read:
    """A column of an input table whose values an expression is made of."""

    table: str
    column: str
    grade: int


@dataclass(frozen=True)
class MetricValue:
    """Values that are in the unit of the metric of their row: of which scan, and of which metrics (None = any)."""

    instance: Instance
    metrics: frozenset[str] | None


@dataclass(frozen=True)
class Origin:
    """An input column that is handed on unchanged."""

    instance: Instance
    table: str
    column: str
    sql_type: str


@dataclass(frozen=True)
class Facts:
    """What is known of the values of an expression; what is not known is left out, and nothing is claimed of it.

    Attributes:
        reads: input columns that the values are made of.
        measure: units that the values may be in.
        metric_value: set where the unit depends on the row's metric.
        metric_of: set where the expression is the column ``metric`` of a scan.
        null: why the values can be null, in words.
        origin: the input column that the expression is.
        column: the column of the SELECT's own sources that the expression is.
        numbered_by: set where the expression numbers the rows of a partition: the columns of the partition.
        constant: whether the value is the same in every row.
    """

    reads: frozenset[Read] = frozenset()
    measure: Measure | None = None
    metric_value: MetricValue | None = None
    metric_of: Instance | None = None
    null: str | None = None
    origin: Origin | None = None
    column: ColumnId | None = None
    numbered_by: frozenset[ColumnId] | None = None
    constant: bool = False

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known at all, as of a column of a query that was not analysed."""
        return self == UNKNOWN

    def computed(self, measure: Measure | None = None, null: str | None = None) -> Facts:
        """Facts of something computed from the values: what they are made of stays."""
        return Facts(reads=self.reads, measure=measure, null=null)


UNKNOWN = Facts()


@dataclass(frozen=True)
class Branch:
    """One SELECT that gives output rows: what each of its columns is, and the node that it stands in."""

    columns: tuple[tuple[str, Facts, exp.Expr], ...]


@dataclass(frozen=True)
class Relation:
    """What is known of the rows of a table, subquery or common table expression.

    Attributes:
        columns: facts by name in lower case, in order.
        complete: whether these are all columns.
        keys: sets of columns that are unique; empty where none is seen, None where nothing is known.
        single: whether there is at most one row.
        numbers: columns that number the rows of partitions, with the columns of the partition.
        branches: the SELECTs that the rows come from.
        selects: numbers in ``Study.selects`` of the queries that give the rows.
        scanned: tables that are read for the rows, as often as they are.
        is_written_out: whether the rows stand in the model itself.
    """

    columns: Mapping[str, Facts] = field(default_factory=dict)
    complete: bool = False
    keys: frozenset[frozenset[str]] | None = None
    single: bool = False
    numbers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    branches: tuple[Branch, ...] = ()
    selects: tuple[int, ...] = ()
    scanned: tuple[str, ...] = ()
    is_written_out: bool = False

    def seen_as(self, source: int) -> dict[str, Facts]:
        """The columns as a SELECT sees them that has the relation as its source of this number."""
        return {name: _through(facts, source, name) for name, facts in self.columns.items()}


OPAQUE = Relation()


def kept_facts(facts: Facts, null: str | None) -> Facts:
    """Facts of values computed from others in the same unit."""
    return Facts(reads=facts.reads, measure=facts.measure, metric_value=facts.metric_value, null=null)


def joined_facts(parts: Sequence[Facts], measure: Measure | None, null: str | None) -> Facts:
    """Facts of values made of several: they depend on the row's metric where all of them, literals aside, do alike."""
    depending = {facts.metric_value for facts in parts if facts.measure is None or not facts.measure.is_literal}
    value = next(iter(depending)) if len(depending) == 1 else None
    return Facts(
        reads=frozenset().union(*(facts.reads for facts in parts)),
        measure=measure,
        metric_value=value,
        null=null,
        constant=all(facts.constant for facts in parts),
    )


def first_null(parts: Iterable[Facts]) -> str | None:
    """Why one of several values can be null."""
    return next((facts.null for facts in parts if facts.null is not None), None)


def _through(facts: Facts, source: int, name: str) -> Facts:
    value, origin = facts.metric_value, facts.origin
    return replace(
        facts,
        metric_value=replace(value, instance=(source, *value.instance)) if value else None,
        metric_of=(source, *facts.metric_of) if facts.metric_of is not None else None,
        origin=replace(origin, instance=(source, *origin.instance)) if origin else None,
        column=(source, name),
        numbered_by=None,
        constant=False,
    )
