"""Long value sets as tables: GX copies a policy's arguments a hundred times, and SQL would repeat every value.

Only where a table compares as the values themselves do: texts with a column of text, whole numbers with a column of
whole numbers. Does not belong here: what becomes of them in SQL (``duckdb_metrics_for_gx``).
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.sql import identifier
from omgov_assets.quality_policy.checked_rows import CHECKED
from omgov_assets.quality_policy.policies import Policy

LONGEST_LIST = 1000

_TYPES = frozenset({"expect_column_values_to_be_in_set", "expect_column_values_to_not_be_in_set"})
_WHOLE_NUMBERS = frozenset({"BIGINT", "INTEGER", "SMALLINT", "TINYINT"})
_PREFIX = "value_set_"


def with_value_tables(con: duckdb.DuckDBPyConnection, policies: list[Policy]) -> tuple[list[Policy], frozenset[str]]:
    """The policies with the name of a table for a long value set, and the names of the tables that were made."""
    types = {name: sql_type for name, sql_type, *_ in con.execute(f"DESCRIBE {CHECKED}").fetchall()}
    tables: set[str] = set()
    replaced: list[Policy] = []
    for policy in policies:
        values = policy.kwargs.get("value_set")
        sql_type = types.get(str(policy.kwargs.get("column")), "")
        if policy.type not in _TYPES or not isinstance(values, list) or not _is_long(values, sql_type):
            replaced.append(policy)
            continue
        # Not to be guessed, so that no suite takes a table for its value set.
        table = f"{_PREFIX}{uuid4().hex}"
        con.register("values_of_a_set", pa.table({"value": values}))
        con.execute(f"CREATE TABLE {identifier(table)} AS SELECT DISTINCT value FROM values_of_a_set")  # noqa: S608
        con.unregister("values_of_a_set")
        tables.add(table)
        replaced.append(policy.model_copy(update={"kwargs": policy.kwargs | {"value_set": [table]}}))
    return replaced, frozenset(tables)


def _is_long(values: list[Any], sql_type: str) -> bool:
    if len(values) <= LONGEST_LIST:
        return False
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return sql_type == "VARCHAR"
    return kinds == {int} and sql_type in _WHOLE_NUMBERS and all(-(2**63) <= value < 2**63 for value in values)
