"""The models of a project with the tables that each reads and the columns that it must give, as DuckDB names them.

Does not belong here: rows (``small_data``) and what is proved of the models (``test_corpus``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.processing_models import ProcessingModel

TIMESTAMPTZ = "TIMESTAMP WITH TIME ZONE"
NORMALISED = {
    "metric_samples": {
        "system": "VARCHAR",
        "instance_id": "VARCHAR",
        "metric": "VARCHAR",
        "ci_id": "VARCHAR",
        "attributes": "MAP(VARCHAR, VARCHAR)",
        "observed_at": TIMESTAMPTZ,
        "value": "DOUBLE",
    },
    "metric_instances": {
        "system": "VARCHAR",
        "instance_id": "VARCHAR",
        "metric": "VARCHAR",
        "ci_id": "VARCHAR",
        "attributes": "MAP(VARCHAR, VARCHAR)",
        "interval_s": "BIGINT",
        "sample_count": "BIGINT",
        "value_min": "DOUBLE",
        "value_max": "DOUBLE",
        "value_mean": "DOUBLE",
    },
}
DERIVED_COLUMNS = {
    "metric_samples": ("ci_id", "attributes", "observed_at", "value"),
    "metric_instances": ("ci_id", "attributes", "sample_count", "value_min", "value_max", "value_mean"),
}
MAY_BE_NULL = {"sample_count", "value_min", "value_max"}
HANDED_ON = {"_batch_id": "VARCHAR", "_record_no": "BIGINT"}


@dataclass(frozen=True)
class Model:
    """A model, the tables that it reads, and the columns that it must give.

    Attributes:
        name: `<system>/<dataset>` or the metric.
        processing_model: header and SQL.
        inputs: columns and their types by table.
        output: columns and their types.
        required: columns of the output that must not be null.
    """

    name: str
    processing_model: ProcessingModel
    inputs: Mapping[str, Mapping[str, str]]
    output: Mapping[str, str]
    required: tuple[str, ...]


def models_of(governance: Governance) -> list[Model]:
    """All models of a project: conform models by system and dataset, then derive models by metric."""
    conform = [
        Model(
            name=f"{system.name}/{dataset.name}",
            processing_model=dataset.model,
            inputs={"source": {c.name: _type(c.sql_type) for c in dataset.source_contract.columns} | HANDED_ON},
            output={c.name: _type(c.sql_type) for c in dataset.standard_contract.conform_columns} | HANDED_ON,
            required=(*(c.name for c in dataset.standard_contract.conform_columns if c.required), *HANDED_ON),
        )
        for system in governance.systems.values()
        for dataset in system.datasets.values()
    ]
    tables = _derive_tables(governance)
    derived = []
    for model in governance.derived:
        columns = DERIVED_COLUMNS[model.header.dataset]
        types = NORMALISED[model.header.dataset]
        derived.append(
            Model(
                name=str(model.header.metric),
                processing_model=model,
                inputs=tables,
                output={column: types[column] for column in columns},
                required=tuple(column for column in columns if column not in MAY_BE_NULL),
            )
        )
    return conform + derived


def _derive_tables(governance: Governance) -> dict[str, dict[str, str]]:
    """What a derive model may read: every standard dataset that a system delivers."""
    delivered = {dataset for system in governance.systems.values() for dataset in system.datasets}
    return {
        name: NORMALISED.get(name) or {c.name: _type(c.sql_type) for c in contract.columns if c.name not in HANDED_ON}
        for name, contract in governance.contracts.items()
        if name in delivered
    }


def _type(sql_type: str) -> str:
    return TIMESTAMPTZ if sql_type == "TIMESTAMPTZ" else sql_type


def create_tables(con: duckdb.DuckDBPyConnection, model: Model) -> None:
    """An empty table for each input of a model."""
    for table, columns in model.inputs.items():
        listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        con.execute(f"CREATE TABLE {table} ({listed})")
