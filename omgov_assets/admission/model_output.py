"""What a changed processing model makes of data: its output compared with what came out before the change.

A model, its mappings, or the metric standard may change from one day to the next. What it makes of the day is then held
against the last day before: nulls where there were values, metrics that are no longer mapped, values of another order
of magnitude. Where nothing that decides has changed, a difference is the data's, and the policies judge it. Does not
belong here: what can be said without data (``model_management.model_check``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from omgov_assets.data_lake.lake import one_row
from omgov_assets.data_lake.sql import identifier, read_sql
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.model_findings import ModelFinding, Severity
from omgov_assets.model_management.processing_models import ProcessingModel

# With fewer rows a share says little.
LEAST_ROWS = 20
# Share of rows by which nulls, or unmapped metrics, may become more.
NULL_RISE = 0.5
UNMAPPED_RISE = 0.2
# Share of the records by which rows may become fewer.
LOSS = 0.2
# How many times greater or smaller the median of a metric may become.
SHIFT = 20.0

NULL_EXPLOSION = "null_explosion"
UNMAPPED_SHARE = "unmapped_share"
OUTPUT_SHIFT = "output_shift"
ROWS_LOST = "rows_lost"

_OUTPUT_SHIFT_SQL = read_sql(Path(__file__).with_name("output_shift.sql"))


@dataclass(frozen=True)
class Output:
    """Rows of a dataset in a connection: what a model made.

    Attributes:
        view: view with the columns of the dataset's table.
        rows_in: records that they were made of.
    """

    view: str
    rows_in: int


def examine_output(
    con: duckdb.DuckDBPyConnection,
    model: ProcessingModel,
    name: str,
    path: str,
    contract: DataContract,
    now: Output,
    before: Output,
) -> tuple[ModelFinding, ...]:
    """Compare what a model makes with what was made before it changed.

    Args:
        con: connection of both views.
        model: the changed model.
        name: ``<system>/<dataset>``.
        path: file of the model, relative to the project.
        contract: standard contract of the dataset.
        now: what it makes.
        before: what was made before.

    Returns:
        Findings of severity ``warning``: a person decides whether the change was meant.
    """

    def finding(code: str, problem: str, remedy: str, severity: Severity = "warning") -> ModelFinding:
        return ModelFinding(path, model.first_line, 1, code, severity, problem, remedy, name, model.header.owner)

    return tuple(finding(*told) for told in _differences(con, contract, now, before))


def _differences(
    con: duckdb.DuckDBPyConnection, contract: DataContract, now: Output, before: Output
) -> Iterator[tuple[str, str, str]]:
    counts, earlier = _counts(con, contract, now.view), _counts(con, contract, before.view)
    rows, rows_before = counts.pop("*"), earlier.pop("*")
    if min(now.rows_in, before.rows_in) < LEAST_ROWS:
        return
    kept, kept_before = rows / now.rows_in, rows_before / before.rows_in
    if kept_before - kept >= LOSS:
        yield (
            ROWS_LOST,
            f"{kept:.0%} of the records become rows, {kept_before:.0%} did before",
            "look at the reasons in the quarantine: omgov admission show",
        )
    if min(rows, rows_before) < LEAST_ROWS:
        return
    for column, given in counts.items():
        share, share_before = 1 - given / rows, 1 - earlier[column] / rows_before
        limit = UNMAPPED_RISE if column == "metric" else NULL_RISE
        if share - share_before < limit:
            continue
        if column == "metric":
            yield (
                UNMAPPED_SHARE,
                f"{share:.0%} of the rows have no standard metric, {share_before:.0%} had none before",
                "map them: omgov mappings suggest",
            )
        else:
            yield (
                NULL_EXPLOSION,
                f"{column} is null in {share:.0%} of the rows, in {share_before:.0%} before",
                "correct the expression of the column, or its source",
            )
    yield from _shifts(con, contract, now, before)


def _counts(con: duckdb.DuckDBPyConnection, contract: DataContract, view: str) -> dict[str, int]:
    """Rows, under ``*``, and rows with a value by optional column that the model gives; and those with a metric."""
    optional = [column.name for column in contract.conform_columns if not column.required]
    optional += [column.name for column in contract.columns if column.filled_by_platform and column.name == "metric"]
    counted = ", ".join(["count(*)", *(f"count({identifier(name)})" for name in optional)])
    return dict(zip(["*", *optional], one_row(con, f"SELECT {counted} FROM {identifier(view)}"), strict=True))  # noqa: S608


def _shifts(
    con: duckdb.DuckDBPyConnection, contract: DataContract, now: Output, before: Output
) -> Iterator[tuple[str, str, str]]:
    """Metrics, or numbers of a dataset without metrics, whose median is of another order of magnitude."""
    numeric = [column.name for column in contract.columns if column.sql_type == "DOUBLE"]
    if not numeric:
        return
    of = "metric" if any(column.name == "metric" for column in contract.columns) else "NULL::VARCHAR"
    # Values in the standard's unit where there are such: a source may change its units, and say so.
    converted = [name for name in numeric if name.startswith("value")] or numeric
    pairs = ", ".join(f"('{name}', {identifier(name)})" for name in converted)
    for view, source in (("numbers_now", now.view), ("numbers_before", before.view)):
        con.execute(
            f"CREATE OR REPLACE TEMP VIEW {view} AS SELECT {of} AS metric, unnest([{pairs}]::"  # noqa: S608 - quoted
            f"STRUCT(name VARCHAR, number DOUBLE)[], recursive := true) FROM {identifier(source)}"
        )
    for metric, name, middle, middle_before in con.execute(
        _OUTPUT_SHIFT_SQL, {"least_rows": LEAST_ROWS, "shift": SHIFT}
    ).fetchall():
        what = f"{name} of {metric}" if metric else name
        yield (
            OUTPUT_SHIFT,
            f"the median of {what} is {middle:g}, it was {middle_before:g} before",
            "check the unit that the model, the mapping or the standard says",
        )
