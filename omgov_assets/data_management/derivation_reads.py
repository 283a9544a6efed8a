"""What a derive model reads: its datasets, the metrics that it names, and which rows of the metric datasets it needs.

Owns one decision: rows of a metric may be kept from a model only where every reference to the dataset visibly drops
them itself. Does not belong here: whether the model is sound (``model_check``), and reading the rows
(``derivation_inputs``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omgov_assets.data_lake.syntax import parsed_select

METRIC_TABLES = ("metric_samples", "metric_instances")

# Joins after which a row of either side is there or not there whatever other rows of its side there are.
_PLAIN_JOINS = frozenset({"REGULAR", "NATURAL", "CROSS"})

Node = Mapping[str, Any]


@dataclass(frozen=True)
class ModelReads:
    """What a model reads.

    Attributes:
        datasets: datasets by their names.
        metrics: standard metrics that it names, in whatever place.
        needed: by metric dataset that it reads, the metrics whose rows it needs; None for all.
    """

    datasets: frozenset[str]
    metrics: frozenset[str]
    needed: Mapping[str, frozenset[str] | None]

    @property
    def reads_all_metrics(self) -> bool:
        """Whether it names no metric: then it reads what the systems deliver, whatever that is."""
        return not self.metrics


def reads_of(sql: str, datasets: Collection[str], metrics: Collection[str]) -> ModelReads:
    """What a query reads, by DuckDB's own parser; nothing is run.

    Args:
        sql: the query.
        datasets: names that are datasets.
        metrics: names that are standard metrics.

    Raises:
        NotOneSelectError: the query is not one SELECT.
    """
    nodes = list(_nodes(parsed_select(sql)))
    # A common table expression that bears a dataset's name counts as the dataset, which does no harm.
    named = {node["table_name"].casefold() for node in nodes if node.get("type") == "BASE_TABLE"}
    needed: dict[str, frozenset[str] | None] = {}
    restrictions = _restrictions(nodes)
    for table in METRIC_TABLES:
        found = [restrictions.get(id(node)) for node in nodes if _is_table(node, table)]
        if found:
            known = [names for names in found if names is not None]
            needed[table] = frozenset().union(*known) if len(known) == len(found) else None
    return ModelReads(
        datasets=frozenset(name for name in datasets if name in named),
        metrics=frozenset(text for node in nodes if (text := _text(node)) is not None) & frozenset(metrics),
        needed=needed,
    )


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)


def _restrictions(nodes: list[Node]) -> dict[int, frozenset[str] | None]:
    """By identity of a reference in a FROM clause, the metrics that its SELECT keeps of it."""
    restrictions: dict[int, frozenset[str] | None] = {}
    for node in nodes:
        if node.get("type") == "SELECT_NODE" and isinstance(node.get("from_table"), dict):
            for reference, conditions in _references(node["from_table"], [(node.get("where_clause"), True)]):
                kept = [names for each in conditions if (names := _kept(*each, reference)) is not None]
                # A second condition can only take away more.
                restrictions[id(reference)] = kept[0] if kept else None
    return restrictions


def _references(
    source: Node, conditions: list[tuple[Node | None, bool]]
) -> Iterator[tuple[Node, list[tuple[Node | None, bool]]]]:
    """Tables of a FROM clause, each with the conditions that drop rows of it, and whether its columns need no prefix in
    them.
    """
    if source.get("type") == "BASE_TABLE":
        plain = not source.get("sample") and not source.get("column_name_alias")
        yield source, conditions if plain else []
        return
    if source.get("type") != "JOIN":
        return
    join, on = source["join_type"], (source.get("condition"), False)
    if source["ref_type"] not in _PLAIN_JOINS:
        # The nearest row, or the row at the same place, is another one when rows are gone.
        left, right = [], []
    elif join in {"SEMI", "ANTI"}:
        left, right = conditions, [on]
    else:
        left = [*conditions, *([on] if join in {"INNER", "RIGHT"} else [])]
        right = [*conditions, *([on] if join in {"INNER", "LEFT"} else [])]
    yield from _references(source["left"], left)
    yield from _references(source["right"], right)


def _kept(condition: Node | None, unprefixed: bool, reference: Node) -> frozenset[str] | None:
    """The metrics that a condition lets through of a reference; None where it does not say."""
    if condition is None:
        return None
    kind = condition.get("type")
    if kind in {"CONJUNCTION_AND", "CONJUNCTION_OR"}:
        parts = [_kept(child, unprefixed, reference) for child in condition["children"]]
        known = [part for part in parts if part is not None]
        if kind == "CONJUNCTION_AND":
            return known[0] if known else None
        return frozenset().union(*known) if known and len(known) == len(parts) else None
    if kind == "COMPARE_EQUAL":
        sides = [condition["left"], condition["right"]]
    elif kind == "COMPARE_IN":
        sides = condition["children"]
    else:
        return None
    columns = [side for side in sides if _is_metric(side, unprefixed, reference)]
    texts = [text for side in sides if (text := _text(side)) is not None]
    return frozenset(texts) if len(columns) == 1 and len(texts) == len(sides) - 1 else None


def _is_metric(node: Node, unprefixed: bool, reference: Node) -> bool:
    if node.get("type") != "COLUMN_REF":
        return False
    *prefix, column = (name.casefold() for name in node["column_names"])
    named = (reference.get("alias") or reference["table_name"]).casefold()
    return column == "metric" and (prefix == [named] or (unprefixed and not prefix))


def _text(node: Node) -> str | None:
    """The text of a literal."""
    literal = node.get("literal") if node.get("type") == "VALUE_CONSTANT" else None
    return literal["text"] if literal and literal["kind"] == "STRING" else None


def _is_table(node: Node, name: str) -> bool:
    return node.get("type") == "BASE_TABLE" and node["table_name"].casefold() == name
