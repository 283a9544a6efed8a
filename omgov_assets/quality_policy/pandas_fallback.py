"""Great Expectations on pandas, for what no SQL engine can say: GX's counts, and the rows that it names by index.

Only the columns that a policy reads are taken out of DuckDB, and only the rows of its row condition: pandas would run
that as Python. Imports Great Expectations, which costs four seconds:
import this module inside functions only. Does not belong here: which policies need it (``great_expectations_run``).
"""

from __future__ import annotations

from collections.abc import Collection

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from great_expectations.core.batch import Batch
from great_expectations.execution_engine import PandasExecutionEngine
from great_expectations.execution_engine.pandas_batch_data import PandasBatchData
from great_expectations.validator.validator import Validator

from omgov_assets.data_lake.sql import identifier, literal
from omgov_assets.quality_policy.checked_rows import CHECKED

# Where integers or booleans are null in part: pandas would else make floats or objects of them.
_WITH_NULLS = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}
_FAILING_ROWS = "rows_failing_on_pandas"
_NUMBER = "number_of_the_checked_row"


def pandas_validator(rows: pd.DataFrame) -> Validator:
    """A GX validator over a frame."""
    engine = PandasExecutionEngine()
    batch_data = PandasBatchData(engine, rows)
    validator = Validator(execution_engine=engine, batches=[Batch(data=batch_data)])  # type: ignore[arg-type]
    validator.metrics_calculator.show_progress_bars = False
    return validator


def frame(
    con: duckdb.DuckDBPyConnection, table: str, columns: Collection[str], condition: str = "true"
) -> pd.DataFrame:
    """Columns of a table that exist, of the rows that meet a condition in SQL, as pandas holds them without loss.

    The index is the row's number in the table, from 0.
    """
    available = [name for name, *_ in con.execute(f"DESCRIBE {identifier(table)}").fetchall()]
    selected = "".join(f", {identifier(name)}" for name in available if name in columns)
    rows = con.sql(
        f"SELECT {_NUMBER}{selected} "  # noqa: S608 - quoted, and GX's own SQL
        f"FROM (SELECT *, row_number() OVER () - 1 AS {_NUMBER} FROM {identifier(table)}) WHERE {condition}"
    ).to_arrow_table()
    series = {
        name: column.to_pandas(types_mapper=_WITH_NULLS.get if column.null_count else None, date_as_object=False)
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    }
    return pd.DataFrame(series).set_index(_NUMBER)


def keep_failing_rows(con: duckdb.DuckDBPyConnection, policy_id: str, unexpected: pd.Series) -> str:
    """Remember which rows GX found unexpected, and return the SQL of these rows of ``checked``."""
    numbers = unexpected.index[unexpected.fillna(value=False).astype(bool)].to_numpy(dtype=np.int64)
    con.execute(f"CREATE TABLE IF NOT EXISTS {_FAILING_ROWS} (policy_id VARCHAR, row_number BIGINT)")
    con.execute(f"DELETE FROM {_FAILING_ROWS} WHERE policy_id = ?", [policy_id])  # noqa: S608 - a constant
    con.register("failing_row_numbers", pa.table({"row_number": numbers}))
    con.execute(f"INSERT INTO {_FAILING_ROWS} SELECT ?, row_number FROM failing_row_numbers", [policy_id])  # noqa: S608
    con.unregister("failing_row_numbers")
    return (
        f"SELECT * EXCLUDE ({_NUMBER}) "  # noqa: S608 - constants and a quoted literal
        f"FROM (SELECT *, row_number() OVER () - 1 AS {_NUMBER} FROM {CHECKED}) WHERE {_NUMBER} IN "
        f"(SELECT row_number FROM {_FAILING_ROWS} WHERE policy_id = {literal(policy_id)})"
    )
