"""The classification level of every column that can be asked for, derived ones included.

Owns one rule: a derived column has the highest grade of what it is made of, and whatever is not known has the highest
there is. Does not belong here: who may see which grade (``decision``).
"""

from __future__ import annotations

from collections.abc import Mapping

from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.model_management.access_rules import HIGHEST_GRADE


def column_grades(dataset: str, tables: Mapping[str, TableSchema]) -> dict[str, int]:
    """Grade of each column of a dataset, in the order of its contract.

    Args:
        dataset: ``<folder>/<table>``.
        tables: schemas of all tables that can be asked for.
    """
    return {column.name: _grade(dataset, column.name, tables, frozenset()) for column in tables[dataset].columns}


def _grade(dataset: str, name: str, tables: Mapping[str, TableSchema], above: frozenset[tuple[str, str]]) -> int:
    schema = tables.get(dataset)
    column = next((one for one in schema.columns if one.name == name), None) if schema is not None else None
    if column is None or (dataset, name) in above or not 1 <= column.grade <= HIGHEST_GRADE:
        return HIGHEST_GRADE
    below = above | {(dataset, name)}
    inputs = (made_of.rpartition(".") for made_of in column.made_of)
    return max([column.grade, *(_grade(table, source, tables, below) for table, _, source in inputs)])
