"""Whether the output of a model is the one that its contract asks for: names, types, nulls, grades, units.

Does not belong here: the rows of the output (``record_wise``), and how facts about it are found (``scopes``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlglot import exp

from omgov_assets.model_management.model_check.expressions import same_type
from omgov_assets.model_management.model_check.facts import Facts, Read, Relation
from omgov_assets.model_management.model_check.faults import Fault, header_place
from omgov_assets.model_management.model_check.inputs import InputTable, OutputColumn
from omgov_assets.model_management.model_check.places import Place
from omgov_assets.model_management.model_check.study import Study
from omgov_assets.model_management.model_check.unit_algebra import agree, fits, of_code
from omgov_assets.model_management.processing_models import ProcessingModel
from omgov_assets.model_management.ucum import meaning


def shape_faults(
    columns: Sequence[tuple[str, str]], expected: Iterable[OutputColumn], places: Mapping[str, Place], select: Place
) -> Iterator[Fault]:
    """Names and types.

    Args:
        columns: name and DuckDB type of what the model gives.
        expected: what its contract asks for.
        places: where columns stand, by name in lower case.
        select: where the outermost SELECT stands.
    """
    wanted = {column.name: column for column in expected}
    seen: set[str] = set()
    for name, sql_type in columns:
        place = places.get(name.lower(), select)
        if name.lower() in seen:
            yield Fault("duplicate_output_column", place, f"{name} is given twice", "keep one of the two")
        elif name not in wanted:
            problem = f"{textwrap.shorten(name, 80)} is not in the output contract, which has {', '.join(wanted)}"
            yield Fault("unexpected_output_column", place, problem, "leave it out, or correct its name")
        elif not same_type(wanted[name].sql_type, sql_type):
            problem = f"{name} is {sql_type}; the output contract says {wanted[name].sql_type}"
            yield Fault("output_type_differs", place, problem, f"cast it: {name}::{wanted[name].sql_type}")
        seen.add(name.lower())
    given = {name for name, _ in columns}
    for name, column in wanted.items():
        if name not in given:
            problem = f"{name} ({column.sql_type}) is missing from the output"
            yield Fault("missing_output_column", select, problem, f"add a column {name}")


def value_faults(
    study: Study, model: ProcessingModel, expected: Iterable[OutputColumn], relation: Relation
) -> Iterator[Fault]:
    """Nulls, grades and units of what each column is made of; each column once."""
    wanted = {column.name: column for column in expected}
    seen: set[tuple[str, str]] = set()
    for branch in relation.branches:
        for name, facts, node in branch.columns:
            if name not in wanted:
                continue
            place = study.text.place_of(node)
            for fault in _value_faults(study, model, wanted[name], facts, node, place):
                if (name, fault.code) not in seen or len(relation.branches) > 1:
                    seen.add((name, fault.code))
                    yield fault


def declared_unit_faults(study: Study, model: ProcessingModel, expected: Iterable[OutputColumn]) -> Iterator[Fault]:
    """Units that are declared: whether they are UCUM, and whether header and contract agree."""
    wanted = {column.name: column for column in expected}
    for name, code in model.header.units.items():
        place = header_place(model, f"units.{name}")
        column = wanted.get(name)
        if meaning(code) is None:
            problem = f"the header declares {name} in {code!r}, which is not a UCUM code"
            yield Fault("unknown_unit", place, problem, "write one, such as By, ms, 1/s or {request}")
        elif column is not None and column.unit is not None and not agree(of_code(code), of_code(column.unit)):
            problem = f"the header declares {name} in {code}; its standard says {column.unit}"
            yield Fault("unit_differs", place, problem, f"convert the values and declare {column.unit}")
    for table in study.tables.values():
        yield from _contract_unit_faults(table, model, study)
    for column in wanted.values():
        if column.unit is not None and model.header.kind == "conform" and meaning(column.unit) is None:
            problem = f"the standard contract declares {column.name} in {column.unit!r}, which is not a UCUM code"
            yield Fault("unknown_unit", (1, 1), problem, "correct the unit in the standard contract")


def _contract_unit_faults(table: InputTable, model: ProcessingModel, study: Study) -> Iterator[Fault]:
    for column in table.columns:
        if column.unit is None or meaning(column.unit) is not None:
            continue
        read = any(
            one.table == table.name and one.column == column.name
            for facts in study.column_facts.values()
            for one in facts.reads
        )
        if read or model.header.kind == "conform":
            # It stands in no line of the model.
            problem = (
                f"the contract of {table.name} declares {column.name} in {column.unit!r}, which is not a UCUM code"
            )
            yield Fault("unknown_unit", (1, 1), problem, "correct the unit in the contract")


def _remedy_for_nulls(model: ProcessingModel) -> str:
    remedy = "say what holds instead with coalesce() or ELSE, or filter nulls out"
    if model.header.kind == "conform":
        remedy += ", or name it in the header's quarantine_without where such records are to be quarantined"
    return remedy


def _value_faults(
    study: Study,
    model: ProcessingModel,
    column: OutputColumn,
    facts: Facts,
    node: exp.Expr,
    place: Place,
) -> Iterator[Fault]:
    # A column without which the record is to be quarantined may be null.
    if column.required and facts.null is not None and column.name not in model.header.quarantine_without:
        problem = f"{column.name} is required, but can be null: {facts.null}"
        yield Fault("nullable_output", place, problem, _remedy_for_nulls(model))
    highest = max(facts.reads, key=lambda read: (read.grade, read.table, read.column), default=None)
    if highest is not None and highest.grade > column.grade:
        problem = (
            f"{column.name} is of grade {column.grade}, but made of {highest.table}.{highest.column} "
            f"of grade {highest.grade}"
        )
        at = _place_of_read(study, node, highest, place)
        yield Fault("grade_lowered", at, problem, f"leave {highest.column} out, or raise the grade of {column.name}")
    yield from _unit_faults(study, model, column, facts, place)


def _place_of_read(study: Study, node: exp.Expr, read: Read, place: Place) -> Place:
    """Where in an expression a column is read; the beginning of the expression where that is not known."""
    places = [
        study.text.place_of(column)
        for column in node.find_all(exp.Column)
        if any(read.column == one.column and read.table == one.table for one in _reads_of(study, column))
    ]
    return min(places, default=place)


def _reads_of(study: Study, column: exp.Column) -> frozenset[Read]:
    facts = study.column_facts.get(id(column))
    return facts.reads if facts is not None else frozenset()


def _unit_faults(
    study: Study, model: ProcessingModel, column: OutputColumn, facts: Facts, place: Place
) -> Iterator[Fault]:
    header = model.header.units.get(column.name)
    declared = header if header is not None and meaning(header) is not None else column.unit
    if declared is None or meaning(declared) is None:
        return
    found = facts.measure.label if facts.measure is not None and not fits(facts.measure, declared) else None
    if facts.measure is None and facts.metric_value is not None:
        metrics = [study.standard.get(metric) for metric in sorted(facts.metric_value.metrics or ())]
        other = next((metric for metric in metrics if metric and not fits(of_code(metric.unit), declared)), None)
        found = f"{other.unit} where it is of {other.metric}" if other is not None else None
    if found is not None:
        by = "the header declares" if declared == header else "its standard says"
        problem = f"{column.name} is in {found}; {by} {declared}"
        yield Fault("unit_differs", place, problem, f"convert the values to {declared}")
