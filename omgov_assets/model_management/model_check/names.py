"""What a column name means in a scope, and what the conditions there say of its values.

Does not belong here: expressions (``expressions``); that a name means nothing, which DuckDB says (``binding``).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from sqlglot import exp

from omgov_assets.model_management.model_check.facts import UNKNOWN, ColumnId, Facts, Read
from omgov_assets.model_management.model_check.study import Scope, Source, Study
from omgov_assets.model_management.model_check.unit_algebra import of_code


def column_facts(node: exp.Column, scope: Scope) -> Facts:
    """What is known of a column where it is read."""
    parts = [part.name.lower() for part in node.parts]
    if parts[0] in scope.bound:
        return UNKNOWN
    *qualifiers, name = parts
    if not qualifiers:
        return name_facts(name, scope)
    for level in _levels(scope):
        source = next((source for source in level.sources if source.visible and source.alias == qualifiers[0]), None)
        if source is None:
            continue
        column = qualifiers[1] if len(qualifiers) > 1 else name
        found = source.columns.get(column)
        if found is None:
            return UNKNOWN
        _note_use(found, level, scope)
        found = as_known(found, scope)
        return found if len(qualifiers) == 1 else found.computed()
    # A field of a struct.
    return name_facts(qualifiers[0], scope).computed()


def name_facts(name: str, scope: Scope) -> Facts:
    """What is known of a name without a qualifier: a column, an alias of the SELECT list, or a whole row."""
    for level in _levels(scope):
        found = level.shared.get(name) or next(
            (source.columns[name] for source in level.sources if source.visible and name in source.columns), None
        )
        if found is None and level is scope:
            found = scope.aliases.get(name)
        if found is not None:
            _note_use(found, level, scope)
            return as_known(found, scope)
        row = next((source for source in level.sources if source.visible and source.alias == name), None)
        if row is not None:
            return _whole_row(row)
        if any(not source.complete for source in level.sources):
            return UNKNOWN
    return UNKNOWN


def restricted(facts: Facts, metrics: frozenset[str] | None, study: Study) -> Facts:
    """Facts of values whose rows are of these metrics: their unit and grade follow where they are the same for all."""
    value = facts.metric_value
    if value is None or metrics is None:
        return facts
    known = value.metrics & metrics if value.metrics is not None else metrics
    standard = [study.standard.get(metric) for metric in sorted(known)]
    units = {metric.unit if metric else None for metric in standard}
    grades = [metric.grade for metric in standard if metric is not None]
    only = next(iter(units)) if len(units) == 1 else None
    reads = facts.reads
    if grades and len(grades) == len(standard):
        # Of several metrics it is not known which one is read: the lowest grade is certain.
        reads = frozenset(replace(read, grade=min(grades)) if _is_of_metric(read) else read for read in reads)
    return replace(
        facts, metric_value=replace(value, metrics=known), measure=of_code(only) if only else None, reads=reads
    )


def _is_of_metric(read: Read) -> bool:
    return read.column.startswith("value")


def _levels(scope: Scope) -> list[Scope]:
    levels = [scope]
    while levels[-1].outer is not None:
        levels.append(levels[-1].outer)
    return levels


def _note_use(facts: Facts, level: Scope, scope: Scope) -> None:
    if level is not scope and facts.column is not None:
        for inner, around in pairwise(_levels(scope)):
            inner.used_outside.append(facts.column)
            around.used_by_inner.append(facts.column)
            if around is level:
                break


def as_known(facts: Facts, scope: Scope) -> Facts:
    """Facts of a column with what the conditions around it say of it."""
    for level in _levels(scope):
        if facts.null is not None and facts.column in level.known.not_null:
            facts = replace(facts, null=None)
        elif facts.null is not None and facts.column is not None:
            facts = replace(facts, null=_null_of_row(facts.null, facts.column, level))
        if facts.metric_value is not None:
            facts = restricted(facts, level.known.metrics.get(facts.metric_value.instance), scope.study)
    return facts


def _null_of_row(null: str, column: ColumnId, level: Scope) -> str | None:
    """Why a column can be null, where a condition on another column of its row says that the row is there."""
    number, name = column
    source = next((source for source in level.sources if source.number == number), None)
    if source is None or name not in source.columns_of_row or all(one != number for one, _ in level.known.not_null):
        return null
    return source.columns_of_row[name].null


def _whole_row(source: Source) -> Facts:
    return Facts(reads=frozenset().union(*(facts.reads for facts in source.columns.values())))
