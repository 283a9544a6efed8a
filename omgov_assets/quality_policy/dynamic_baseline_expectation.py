"""The expectation that points follow their dynamic baseline, usable in suites by type name.

``expect_column_values_to_follow_dynamic_baseline`` fails with the points that have one fault
(``dynamic_baselines.scoring`` says which there are). Judged row by row; ``mostly`` and ``row_condition`` hold as
everywhere in GX. Registered with GX when imported; imports GX, so import it inside functions only. Does not belong
here: learning, scoring.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast
from uuid import uuid4
from weakref import WeakKeyDictionary

import duckdb
import sqlalchemy
from great_expectations.compatibility.pydantic import Field, validator
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from omgov_assets.data_lake.sql import identifier
from omgov_assets.quality_policy.duckdb_engine_for_gx import DuckDBExecutionEngine
from omgov_assets.quality_policy.dynamic_baselines.bands_in_force import SCHEMA
from omgov_assets.quality_policy.dynamic_baselines.scoring import FAULTS, Fault, faults_query

# ruff: noqa: N805 - GX and pydantic bind the class

BANDS = f"{SCHEMA}.bands"

_ARGUMENTS = ("fault", "value_column", "time_column", "group_columns", "batch_column", "order_column", "baselines")


class ExpectColumnValuesToFollowDynamicBaseline(ColumnMapExpectation):
    """Expect the points of each series to be free of one fault.

    Series are scored whole, whichever rows a row condition chooses to be judged; points of another day pass. Points of
    a series at the same time fail together. Where no band is in force for a series, its points are judged by what the
    day itself tells (equal values, steps of time, counters).

    Args:
        column: column whose missing values are not judged: the value, or for faults of time the time.
        fault: out_of_band, level_shift, unit_jump, flat_line, gap, duplicate_timestamp, clock_step or counter_reset.
            Faults of a run of points fail with the point where it begins.
        value_column: the value of a point.
        time_column: the time of a point, with its zone.
        group_columns: columns that identify the series, as text what bands are kept by.
        batch_column: batch that a point came in. order_column: order of delivery within it.
        baselines: the bands in force; ``dynamic_baselines.bands``, which nights provide.
    """

    fault: str
    value_column: str = "value"
    time_column: str = "observed_at"
    group_columns: list[str] = Field(default=["instance_id"], min_items=1)
    batch_column: str = "_batch_id"
    order_column: str = "_record_no"
    baselines: str = BANDS

    map_metric: ClassVar[str | None] = "column_values.follow_dynamic_baseline"
    success_keys: ClassVar[tuple[str, ...]] = (*_ARGUMENTS, "mostly")

    @validator("fault")
    def _fault_exists(cls, fault: str) -> str:
        if fault not in FAULTS:
            raise ValueError(f"{fault!r} is no fault: write one of {', '.join(FAULTS)}")
        return fault

    @validator("baselines")
    def _baselines_are_those_of_the_night(cls, baselines: str) -> str:
        if baselines != BANDS:
            raise ValueError(f"{baselines!r} holds no bands: write {BANDS}")
        return baselines


class FollowDynamicBaseline(ColumnMapMetricProvider):
    """Metric of ``ExpectColumnValuesToFollowDynamicBaseline``."""

    condition_metric_name = "column_values.follow_dynamic_baseline"
    condition_value_keys = _ARGUMENTS

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        fault: Fault,
        value_column: str | None,
        time_column: str | None,
        group_columns: list[str] | None,
        batch_column: str | None,
        order_column: str | None,
        _execution_engine: Any,
        _metrics: Any,
        **_: Any,
    ) -> Any:
        names = [value_column or "value", time_column or "observed_at"]
        names += [batch_column or "_batch_id", order_column or "_record_no", *(group_columns or ["instance_id"])]
        for name in names:
            if name not in _metrics["table.columns"]:
                raise ValueError(f'The column "{name}" does not exist')
        value, time, batch, order, *groups = names
        found = _found_faults(_execution_engine, value, time, batch, order, tuple(groups))
        moment: Any = sqlalchemy.column(time)
        series: Any = sqlalchemy.literal_column(_series(groups))
        failing = (
            sqlalchemy.select(sqlalchemy.func.row(found.c.series, found.c.observed_at))
            .select_from(found)
            .where(found.c.fault == fault)
        )
        return sqlalchemy.or_(
            moment.is_(None), series.is_(None), sqlalchemy.func.row(series, moment).not_in(failing.correlate(None))
        )


_faults: WeakKeyDictionary[Any, dict[tuple[object, ...], str]] = WeakKeyDictionary()


def _found_faults(
    engine: Any, value: str, time: str, batch: str, order: str, groups: tuple[str, ...]
) -> sqlalchemy.TableClause:
    """Faults of all points as a table (series, observed_at, fault), made once for an engine."""
    tables = _faults.setdefault(engine.engine, {})
    key = (value, time, batch, order, groups)
    if key not in tables:
        with engine.engine.connect() as connection:
            con = cast(duckdb.DuckDBPyConnection, connection.connection.driver_connection)
            tables[key] = _score(con, engine.table, *key)
    return sqlalchemy.table(tables[key], *(sqlalchemy.column(name) for name in ("series", "observed_at", "fault")))


def _score(
    con: duckdb.DuckDBPyConnection,
    table: str,
    value: str,
    time: str,
    batch: str,
    order: str,
    groups: tuple[str, ...],
) -> str:
    """Create the table of faults; returns its name."""
    known = con.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE schema_name = $schema AND table_name = 'bands'", {"schema": SCHEMA}
    ).fetchall()
    if known == [(0,)]:
        raise ValueError(f"no bands are known here: only a night provides {BANDS}")
    points, faults = (f"{kind}_{uuid4().hex}" for kind in ("points", "faults"))
    columns = {"observed_at": time, "value": value, "batch": batch, "position": order}
    chosen = ", ".join(f"{identifier(name)} AS {identifier(alias)}" for alias, name in columns.items())
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in (time, *groups))
    con.execute(
        f"CREATE VIEW {points} AS SELECT {_series(groups)} AS series, {chosen} FROM {identifier(table)} "  # noqa: S608 - quoted
        f"WHERE {present}"
    )
    con.execute(f"CREATE TABLE {faults} AS {faults_query(points)}")
    con.execute(f"DROP VIEW {points}")
    return faults


def _series(groups: tuple[str, ...] | list[str]) -> str:
    """What identifies a series, as text; null where a part of it is missing."""
    return " || '|' || ".join(f"{identifier(name)}::VARCHAR" for name in groups)
