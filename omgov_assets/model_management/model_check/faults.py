"""A fault while it is being found: code and place, before model, path and owner are added to make a finding of it.

Does not belong here: the shape that others see (``model_findings``).
"""

from __future__ import annotations

from dataclasses import dataclass

from omgov_assets.model_management.model_check.places import Place
from omgov_assets.model_management.model_findings import ModelFinding, Severity
from omgov_assets.model_management.processing_models import ProcessingModel

_WARNINGS = frozenset({
    "retired_metric", "window_too_short", "fan_out", "nullable_output", "order_not_determined", "owner_unknown",
    "owner_inactive",
})  # fmt: skip
_INFOS = frozenset({"costly", "not_analysed"})

# What each code means, for people and for tools that list the rules of a report.
CODES: dict[str, str] = {
    "header_invalid": "The YAML header of the model is missing, malformed or contradicts its file.",
    "not_parsable": "DuckDB cannot parse the SQL.",
    "not_one_select": "The SQL is not exactly one SELECT.",
    "outside_access": "The model reads something other than its input tables.",
    "not_deterministic": "The same input can give another output.",
    "unknown_table": "The model reads a table that it does not see.",
    "unknown_column": "The model reads a column that is not there.",
    "ambiguous_column": "A column name could be that of several tables.",
    "unknown_function": "DuckDB has no such function.",
    "type_mismatch": "DuckDB does not bind the SQL.",
    "missing_output_column": "The output lacks a column of its contract.",
    "unexpected_output_column": "The output has a column that is not in its contract.",
    "duplicate_output_column": "The output has a column twice.",
    "output_type_differs": "A column of the output has another type than its contract says.",
    "record_not_handed_on": "The output does not name the source record that each row is of.",
    "not_record_wise": "A conform model can give more than one row for a record, or one row for several.",
    "grade_lowered": "Values go to a column of a lower classification level.",
    "unknown_unit": "A unit is no UCUM code.",
    "unit_differs": "A column is in another unit than it is declared in.",
    "unit_mixed": "Values of different units are added, compared or chosen between.",
    "unknown_metric": "A metric is not in the metric standard.",
    "derivation_cycle": "A derived metric is computed from itself.",
    "duplicate_output": "A derived metric is already delivered by a business system.",
    "retired_metric": "A metric is deprecated or withdrawn.",
    "window_too_short": "The window is shorter than two intervals of a metric that is read.",
    "fan_out": "A join can multiply rows: its keys are unique on neither side.",
    "nullable_output": "A required column of the output can be null.",
    "order_not_determined": "The result depends on an order that is not said.",
    "owner_unknown": "The CMDB does not know the owner of the model.",
    "owner_inactive": "The owner of the model no longer works for the firm.",
    "costly": "The model goes through more rows than is reasonable.",
    "not_analysed": "The SQL is valid, but its meaning could not be analysed.",
}


@dataclass(frozen=True)
class Fault:
    """What is wrong at a place of a model's file.

    Attributes:
        code: one of ``CODES``.
        place: line and column of the file, from 1.
        problem: what is wrong, with the names.
        remedy: what to do, as an imperative.
    """

    code: str
    place: Place
    problem: str
    remedy: str


def severity_of(code: str) -> Severity:
    """Severity of all findings with a code."""
    return "warning" if code in _WARNINGS else "info" if code in _INFOS else "critical"


def finding_of(fault: Fault, model: ProcessingModel, name: str, path: str) -> ModelFinding:
    """The finding that a fault of a model is."""
    line, column = fault.place
    return ModelFinding(
        path=path,
        line=line,
        column=column,
        code=fault.code,
        severity=severity_of(fault.code),
        problem=" ".join(fault.problem.split()),
        remedy=fault.remedy,
        model=name,
        owner=model.header.owner,
    )


def header_place(model: ProcessingModel, key: str) -> Place:
    """Where a key of the header stands; line 1 where that is not known."""
    return model.header_lines.get(key) or model.header_lines.get(key.partition(".")[0]) or 1, 1
