"""What a model sees and what it must give: tables with columns and keys, and the columns of its output.

The runner of derive models fills exactly these tables. Does not belong here: whether a model uses them well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from omgov_assets.model_management.business_systems import SourceDataset
from omgov_assets.model_management.contracts import ContractColumn
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.processing_models import ProcessingModel

SOURCE = "source"
BATCH_ID, RECORD_NO = "_batch_id", "_record_no"
HIGHEST_GRADE = 4
# Datasets that a derive model reads in the standard's terms and that it gives rows of.
METRIC_TABLES = ("metric_instances", "metric_samples")

_MAP = "MAP(VARCHAR, VARCHAR)"
_SERIES = (
    ("system", "VARCHAR"),
    ("instance_id", "VARCHAR"),
    ("metric", "VARCHAR"),
    ("ci_id", "VARCHAR"),
    ("attributes", _MAP),
)
_NORMALISED: dict[str, tuple[tuple[str, str], ...]] = {
    "metric_samples": (*_SERIES, ("observed_at", "TIMESTAMPTZ"), ("value", "DOUBLE")),
    "metric_instances": (
        *_SERIES,
        ("interval_s", "BIGINT"),
        ("sample_count", "BIGINT"),
        ("value_min", "DOUBLE"),
        ("value_max", "DOUBLE"),
        ("value_mean", "DOUBLE"),
    ),
}
# Series of one metric on one CI with one set of attributes: that two systems report the same one is not expected.
_SERIES_KEYS: dict[str, tuple[frozenset[str], ...]] = {
    "metric_samples": (
        frozenset({"instance_id", "observed_at"}),
        frozenset({"metric", "ci_id", "attributes", "observed_at"}),
    ),
    "metric_instances": (frozenset({"instance_id"}), frozenset({"metric", "ci_id", "attributes"})),
}
_VALUES = frozenset({"value", "value_min", "value_max", "value_mean"})
_DERIVED_OUTPUT: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "metric_samples": (
        ("ci_id", "VARCHAR", True),
        ("attributes", _MAP, True),
        ("observed_at", "TIMESTAMPTZ", True),
        ("value", "DOUBLE", True),
    ),
    "metric_instances": (
        ("ci_id", "VARCHAR", True),
        ("attributes", _MAP, True),
        ("sample_count", "BIGINT", False),
        ("value_min", "DOUBLE", False),
        ("value_max", "DOUBLE", False),
        ("value_mean", "DOUBLE", True),
    ),
}


@dataclass(frozen=True)
class InputColumn:
    """A column that a model can read.

    Attributes:
        name: name in SQL.
        sql_type: type, as contracts write it.
        required: whether it is never null; None where nothing is promised either way.
        unit: UCUM unit of its values, where the contract declares one.
        grade: classification level 1 to 4.
        of_metric: the values are in the unit, and of the grade, of the metric that the row is of.
    """

    name: str
    sql_type: str
    required: bool | None
    unit: str | None
    grade: int
    of_metric: bool = False


@dataclass(frozen=True)
class InputTable:
    """A table that a model can read; its rows are told apart by each of the keys."""

    name: str
    columns: tuple[InputColumn, ...]
    keys: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class OutputColumn:
    """A column that a model must give.

    Attributes:
        name: exact name.
        sql_type: exact type, as contracts write it.
        required: whether it may not be null.
        unit: UCUM unit that its values must be in, where one is declared.
        grade: classification level that its values will be handled with.
    """

    name: str
    sql_type: str
    required: bool
    unit: str | None
    grade: int


def input_tables(governance: Governance, model: ProcessingModel) -> tuple[InputTable, ...]:
    """The tables that a model sees, sorted by name.

    A conform model sees ``source``, the records of one delivery under the names of the source contract. A derive model
    sees every dataset that has a standard contract and is delivered by some system, all systems together.
    """
    if model.header.kind == "conform":
        return (_source(source_dataset(governance, model)),)
    delivered = sorted({name for system in governance.systems.values() for name in system.datasets})
    return tuple(_standard(governance, name) for name in delivered if name in governance.contracts)


def output_columns(governance: Governance, model: ProcessingModel) -> tuple[OutputColumn, ...]:
    """The columns that a model must give, by name and exact type; their order does not count."""
    if model.header.kind == "conform":
        promised = source_dataset(governance, model).standard_contract.conform_columns
        columns = [
            OutputColumn(column.name, column.sql_type, column.required, column.unit, grade_of(column))
            for column in promised
        ]
        # Whatever the contract says of these two, they only name the record.
        named = [OutputColumn(BATCH_ID, "VARCHAR", False, None, HIGHEST_GRADE)]
        named.append(OutputColumn(RECORD_NO, "BIGINT", False, None, HIGHEST_GRADE))
        return tuple([*(column for column in columns if column.name not in (BATCH_ID, RECORD_NO)), *named])
    metric = next((metric for metric in governance.metrics if metric.metric == model.header.metric), None)
    grades = _grades(governance, "metric_samples")
    return tuple(
        OutputColumn(name, sql_type, required, metric.unit if metric else None, metric.grade if metric else 4)
        if name in _VALUES
        else OutputColumn(name, sql_type, required, None, grades.get(name, HIGHEST_GRADE))
        for name, sql_type, required in _DERIVED_OUTPUT.get(model.header.dataset, ())
    )


def source_dataset(governance: Governance, model: ProcessingModel) -> SourceDataset:
    """The dataset of a system that a conform model is of."""
    return governance.systems[model.path.parent.name].datasets[model.header.dataset]


def grade_of(column: ContractColumn) -> int:
    """Classification level; a column without one is treated as the highest."""
    return int(column.classification) if column.classification else HIGHEST_GRADE


def _source(dataset: SourceDataset) -> InputTable:
    columns = [
        InputColumn(column.name, column.sql_type, column.required, column.unit, grade_of(column))
        for column in dataset.source_contract.columns
    ]
    columns.append(InputColumn(BATCH_ID, "VARCHAR", True, None, 1))
    columns.append(InputColumn(RECORD_NO, "BIGINT", True, None, 1))
    # A key of the source contract is unique by promise alone: nothing enforces it.
    return InputTable(SOURCE, tuple(columns), (frozenset({RECORD_NO}),))


def _standard(governance: Governance, name: str) -> InputTable:
    contract = governance.contracts[name]
    if name in _NORMALISED:
        grades = _grades(governance, name)
        columns: Iterable[InputColumn] = (
            InputColumn(
                column,
                sql_type,
                None if column in _VALUES or column in ("interval_s", "sample_count") else True,
                None,
                grades.get(column, 1),
                column in _VALUES,
            )
            for column, sql_type in _NORMALISED[name]
        )
        return InputTable(name, tuple(columns), _SERIES_KEYS[name])
    columns = (
        InputColumn(column.name, column.sql_type, column.required, column.unit, grade_of(column))
        for column in contract.columns
        if column.name not in (BATCH_ID, RECORD_NO)
    )
    key = frozenset(column.name for column in contract.columns if column.key)
    return InputTable(name, tuple(columns), (key,) if key else ())


def _grades(governance: Governance, dataset: str) -> dict[str, int]:
    contract = governance.contracts.get(dataset)
    return {column.name: grade_of(column) for column in contract.columns} if contract else {}
