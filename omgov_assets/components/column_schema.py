"""Columns of tables as an asset's page shows them, by their contracts: type, description, whether required, grade."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from omgov_assets.data_lake.schemas import platform_tables
from omgov_assets.model_management.contracts import DataContract

# What an ungraded column counts as.
HIGHEST_GRADE = "4"


def dataset_columns(contract: DataContract) -> dict[str, dg.TableSchema]:
    """Asset metadata with the columns of a standard dataset."""
    return _metadata(
        dg.TableColumn(
            name=column.name,
            type=column.sql_type,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=not column.required, unique=column.unique),
            tags={"grade": column.classification or HIGHEST_GRADE},
        )
        for column in contract.columns
    )


def platform_columns(table: str) -> dict[str, dg.TableSchema]:
    """Asset metadata with the columns of a table that omgov itself fills."""
    return _metadata(
        dg.TableColumn(
            name=column.name,
            type=column.sql_type,
            description=column.description,
            constraints=dg.TableColumnConstraints(nullable=not column.required),
            tags={"grade": str(column.grade)},
        )
        for column in platform_tables()[table].columns
    )


def _metadata(columns: Iterable[dg.TableColumn]) -> dict[str, dg.TableSchema]:
    return {"dagster/column_schema": dg.TableSchema(columns=list(columns))}
