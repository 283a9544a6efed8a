"""Running one derive model, and judging what it gives, in a connection that reaches nothing but its own tables.

Fills the table ``derived_rows`` (the model's rows, each with its series' identity) and ``derived_series`` (one row for
each series, with its profile). Does not belong here: what the model is given (``derivation_inputs``), what becomes of
the rows (``derivation``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from threading import Timer

import duckdb

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.masks import OPEN_GRADE, masked_error
from omgov_assets.data_lake.sql import identifier, read_sql
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM, ProcessingModel
from omgov_assets.model_management.standard_metrics import StandardMetric

# A model that takes longer would keep the night from its end.
LONGEST_RUN_S = 600.0

OUTPUT = {
    "metric_samples": {
        "ci_id": "VARCHAR", "attributes": "MAP(VARCHAR, VARCHAR)", "observed_at": "TIMESTAMP WITH TIME ZONE",
        "value": "DOUBLE",
    },
    "metric_instances": {
        "ci_id": "VARCHAR", "attributes": "MAP(VARCHAR, VARCHAR)", "sample_count": "BIGINT", "value_min": "DOUBLE",
        "value_max": "DOUBLE", "value_mean": "DOUBLE",
    },
}  # fmt: skip

_HERE = Path(__file__).parent


class DerivationError(Exception):
    """A model that does not run, or whose rows are not what it promises; the message says what to do."""


def run_model(
    con: duckdb.DuckDBPyConnection,
    governance: Governance,
    model: ProcessingModel,
    bounds: tuple[datetime, datetime],
    longest_s: float = LONGEST_RUN_S,
) -> None:
    """Lock the connection, run the model, and fill ``derived_rows`` and ``derived_series``.

    Args:
        con: connection that holds the model's inputs as tables; it can reach nothing else afterwards.
        governance: control information.
        model: a derive model whose SQL is one SELECT.
        bounds: begin and end of the business day.
        longest_s: seconds after which the run is given up.

    Raises:
        DerivationError: the model does not run or does not end, or gives rows that break its promise.
    """
    con.execute("SET enable_external_access = false")
    con.execute("SET python_enable_replacements = false")
    # On several threads the last digit of a sum depends on which was first: the same input must give the same output.
    con.execute("SET threads = 1")
    con.execute("SET lock_configuration = true")
    try:
        with _no_longer_than(con, longest_s):
            con.execute(f"CREATE TABLE model_rows AS SELECT * FROM ({model.sql}\n)")  # noqa: S608 - the firm's own SQL
            _require_columns(con, model)
            values = {"metric": model.header.metric, "system": DERIVED_SYSTEM}
            con.execute(f"CREATE TABLE derived_rows AS {read_sql(_HERE / 'derived_rows.sql')}", values)
            _require_sound_rows(con, model, bounds)
            series = read_sql(_HERE / f"derived_series_of_{model.header.dataset}.sql")
            con.execute(f"CREATE TABLE derived_series AS {series}")
    except duckdb.InterruptException as error:
        raise DerivationError(
            f"{_name(model)} did not end within {longest_s:g} s; its owner {model.header.owner} makes it cheaper"
        ) from error
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        if _reads_graded_columns(governance):
            reason = masked_error(error, model.sql)
        raise DerivationError(
            f"{_name(model)} does not run: {reason}; its owner {model.header.owner} corrects it"
        ) from error


def rows_of(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    model: ProcessingModel,
    unit: str,
    dataset: str,
    day: date,
    batch_id: str,
) -> duckdb.DuckDBPyRelation:
    """What the model gave as rows of ``derived/<dataset>``, null in columns that only the firm's contract knows.

    Raises:
        DerivationError: the firm's contract requires a column that a derived metric does not have.
    """
    query = read_sql(_HERE / f"derived_{dataset}.sql")
    values = {
        "day": day,
        "system": DERIVED_SYSTEM,
        "metric": model.header.metric,
        "batch_id": batch_id,
    }
    if dataset == "metric_instances":
        values |= {"unit": unit, "interval_s": model.header.interval_s}
    rows = con.sql(query, params=values)
    schema = lake.schema(f"{DERIVED_SYSTEM}/{dataset}")
    for column in schema.columns:
        if column.required and column.name not in rows.columns:
            raise DerivationError(
                f"the contract of {dataset} requires column {column.name}, which no derived metric has; "
                "make it optional there"
            )
    shown = ", ".join(
        identifier(column.name)
        if column.name in rows.columns
        else f"NULL::{column.sql_type} AS {identifier(column.name)}"
        for column in schema.columns
    )
    return rows.project(shown)


def out_of_range(
    con: duckdb.DuckDBPyConnection, metric: StandardMetric, values: dict[str, object]
) -> duckdb.DuckDBPyRelation:
    """One violation for each derived series with a value outside the metric's valid range."""
    shown = {
        "least": metric.valid_min,
        "greatest": metric.valid_max,
        "open": metric.grade <= OPEN_GRADE,
        "expected": _expected_range(metric),
    }
    return con.sql(read_sql(_HERE / "derived_out_of_range.sql"), params={**values, **shown})


def _expected_range(metric: StandardMetric) -> str:
    least, greatest = metric.valid_min, metric.valid_max
    if least is None:
        return f"at most {greatest:g} {metric.unit}"
    if greatest is None:
        return f"at least {least:g} {metric.unit}"
    return f"from {least:g} to {greatest:g} {metric.unit}"


def _require_columns(con: duckdb.DuckDBPyConnection, model: ProcessingModel) -> None:
    expected = OUTPUT[model.header.dataset]
    found = {name: sql_type for name, sql_type, *_ in con.execute("DESCRIBE model_rows").fetchall()}
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not asked for" for name in found if name not in expected]
    problems += [
        f"{name} is {found[name]}, not {sql_type}"
        for name, sql_type in expected.items()
        if name in found and found[name] != sql_type
    ]
    if problems:
        raise DerivationError(
            f"{_name(model)} gives other columns than derived {model.header.dataset} have: {'; '.join(problems)}; "
            f"its owner {model.header.owner} corrects it"
        )


def _require_sound_rows(
    con: duckdb.DuckDBPyConnection, model: ProcessingModel, bounds: tuple[datetime, datetime]
) -> None:
    values: dict[str, object] = {}
    if model.header.dataset == "metric_samples":
        values = {"day_start": bounds[0], "day_end": bounds[1]}
    query = read_sql(_HERE / f"derived_faults_of_{model.header.dataset}.sql")
    faults = con.execute(query, values).fetchall()
    if faults:
        (total,) = one_row(con, "SELECT count(*) FROM derived_rows")
        counted = "; ".join(f"{rows} {problem}" for problem, rows in faults)
        raise DerivationError(
            f"{_name(model)} gave {total} rows, of which {counted}; its owner {model.header.owner} corrects it"
        )


def _reads_graded_columns(governance: Governance) -> bool:
    return any(column.grade > OPEN_GRADE for contract in governance.contracts.values() for column in contract.columns)


def _name(model: ProcessingModel) -> str:
    return f"processing model {model.path.name} version {model.header.version}"


@contextmanager
def _no_longer_than(con: duckdb.DuckDBPyConnection, seconds: float) -> Iterator[None]:
    """Interrupt what the connection does after so many seconds."""
    timer = Timer(seconds, con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
