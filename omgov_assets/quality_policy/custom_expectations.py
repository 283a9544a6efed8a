"""Expectations of the house on monitoring data, usable in suites by type name like those of Great Expectations.

=============================================  =====================================================================
type                                           what fails
=============================================  =====================================================================
``expect_column_last_seen_within_intervals``   a series that was last seen longer before the day's end than some
                                               collection intervals
``expect_column_ci_consistent_with_cmdb``      a CI that the CMDB does not know, or of which the row says otherwise
``expect_column_unit_to_equal_standard``       a unit other than the one of the standard metric
``expect_column_values_to_vary``               every value of a flat line
``expect_column_relations_to_be_acyclic``      a relation that lies on a cycle of relations
``expect_baseline_metrics_to_be_reported``     a metric that the baseline expects of a CI and nothing reports
=============================================  =====================================================================

Points of series have theirs in ``dynamic_baseline_expectation``. The first five are judged row by row; a row whose
value in ``column`` is missing is not judged, and ``mostly`` and ``row_condition`` hold as everywhere in GX. Registered
with GX when imported; imports GX, so import it inside functions only.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

import sqlalchemy
from great_expectations.compatibility.pydantic import Field, root_validator, validator
from great_expectations.expectations.core import UnexpectedRowsExpectation
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)

from omgov_assets.data_lake.sql import identifier, qualified
from omgov_assets.quality_policy.cycles import cyclic_rows
from omgov_assets.quality_policy.duckdb_engine_for_gx import DuckDBExecutionEngine, kept_rows
from omgov_assets.quality_policy.duckdb_metrics_for_gx import key_of

# ruff: noqa: N805 - GX and pydantic bind the class

_TABLE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")
_MICROSECONDS = 1_000_000


class ExpectColumnLastSeenWithinIntervals(ColumnMapExpectation):
    """Expect each series to have been seen within some collection intervals of the day's end.

    A row whose interval is missing or not positive passes; a series seen after the day's end passes.

    Args:
        column: time of the last sample.
        interval_column: collection interval of the row, in seconds.
        intervals: how many intervals may have gone by.
        day_end: end of the day as ISO 8601, UTC where it names no zone; default the end of the business day.
    """

    interval_column: str
    intervals: float = Field(default=2, gt=0)
    day_end: str | None = None

    map_metric: ClassVar[str | None] = "column_values.last_seen_within_intervals"
    success_keys: ClassVar[tuple[str, ...]] = ("interval_column", "intervals", "day_end", "mostly")

    @validator("day_end")
    def _day_end_is_a_time(cls, day_end: str | None) -> str | None:
        if day_end is not None:
            datetime.fromisoformat(day_end)
        return day_end


class LastSeenWithinIntervals(ColumnMapMetricProvider):
    """Metric of ``ExpectColumnLastSeenWithinIntervals``."""

    condition_metric_name = "column_values.last_seen_within_intervals"
    condition_value_keys = ("interval_column", "intervals", "day_end")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        interval_column: str,
        intervals: float,
        day_end: str | None,
        _execution_engine: Any,
        _metrics: Any,
        **_: Any,
    ) -> Any:
        interval = _column(interval_column, _metrics)
        end_us = _microseconds(day_end, _execution_engine)
        elapsed_us = end_us - sqlalchemy.func.epoch_us(column)
        return sqlalchemy.case((interval > 0, elapsed_us <= interval * (float(intervals) * _MICROSECONDS)), else_=True)


class ExpectColumnCiConsistentWithCmdb(ColumnMapExpectation):
    """Expect each CI to be in the CMDB, and what the row says of it to be what the CMDB says.

    Where either side says nothing, the row passes.

    Args:
        column: the CI.
        cmdb: table with one row per CI, such as ``cmdb.configuration_items``.
        cmdb_key: column of that table which identifies the CI.
        consistent_columns: column of the CMDB by column of the row that has to agree with it.
    """

    cmdb: str
    cmdb_key: str = "ci_id"
    consistent_columns: dict[str, str] = Field(default_factory=dict)

    map_metric: ClassVar[str | None] = "column_values.ci_consistent_with_cmdb"
    success_keys: ClassVar[tuple[str, ...]] = ("cmdb", "cmdb_key", "consistent_columns", "mostly")

    @validator("cmdb")
    def _cmdb_is_a_table(cls, cmdb: str) -> str:
        return _table_name(cmdb)


class CiConsistentWithCmdb(ColumnMapMetricProvider):
    """Metric of ``ExpectColumnCiConsistentWithCmdb``."""

    condition_metric_name = "column_values.ci_consistent_with_cmdb"
    condition_value_keys = ("cmdb", "cmdb_key", "consistent_columns")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, cmdb: str, cmdb_key: str, consistent_columns: dict[str, str] | None, _metrics: Any, **_: Any
    ) -> Any:
        table = sqlalchemy.text(qualified(cmdb))
        key: Any = sqlalchemy.column(cmdb_key)
        conditions = [column.in_(sqlalchemy.select(key).select_from(table).where(key.is_not(None)))]
        for own_name, name in (consistent_columns or {}).items():
            own: Any = _column(own_name, _metrics)
            theirs: Any = sqlalchemy.column(name)
            said = sqlalchemy.select(sqlalchemy.func.row(key, theirs)).select_from(table).where(theirs.is_not(None))
            unsaid = sqlalchemy.select(key).select_from(table).where(key.is_not(None), theirs.is_(None))
            conditions.append(
                sqlalchemy.or_(own.is_(None), sqlalchemy.func.row(column, own).in_(said), column.in_(unsaid))
            )
        return sqlalchemy.and_(*conditions)


class ExpectColumnUnitToEqualStandard(ColumnMapExpectation):
    """Expect each unit to be the unit of the standard metric; a row of which the standard names none passes.

    Args:
        column: the unit.
        standard_column: unit of the standard metric.
    """

    standard_column: str

    map_metric: ClassVar[str | None] = "column_values.unit_equals_standard"
    success_keys: ClassVar[tuple[str, ...]] = ("standard_column", "mostly")


class UnitEqualsStandard(ColumnMapMetricProvider):
    """Metric of ``ExpectColumnUnitToEqualStandard``."""

    condition_metric_name = "column_values.unit_equals_standard"
    condition_value_keys = ("standard_column",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(cls, column: Any, standard_column: str, _metrics: Any, **_: Any) -> Any:
        standard = _column(standard_column, _metrics)
        return sqlalchemy.or_(standard.is_(None), column == standard)


class ExpectColumnValuesToVary(ColumnMapExpectation):
    """Expect the values of each series to vary: a flat line fails with all its rows.

    Args:
        column: the value.
        group_columns: columns that identify the series; without any, the table is one series. A row of which one is
            missing passes.
        min_values: values that a series must have to be judged.
        tolerance: difference between the largest and the smallest value up to which a line is flat.
    """

    group_columns: list[str] = Field(default_factory=list)
    min_values: int = Field(default=24, ge=2)
    tolerance: float = Field(default=0, ge=0)

    map_metric: ClassVar[str | None] = "column_values.vary"
    success_keys: ClassVar[tuple[str, ...]] = ("group_columns", "min_values", "tolerance", "mostly")


class ValuesVary(ColumnMapMetricProvider):
    """Metric of ``ExpectColumnValuesToVary``."""

    condition_metric_name = "column_values.vary"
    condition_value_keys = ("group_columns", "min_values", "tolerance")

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls,
        column: Any,
        group_columns: list[str] | None,
        min_values: int,
        tolerance: float,
        _table: Any,
        _metrics: Any,
        **_: Any,
    ) -> Any:
        groups = [_column(name, _metrics) for name in group_columns or []]
        series = key_of(groups) if groups else sqlalchemy.literal_column("1")
        smallest, largest = sqlalchemy.func.min(column), sqlalchemy.func.max(column)
        flat = (
            sqlalchemy.select(series)
            .select_from(_table.subquery() if isinstance(_table, sqlalchemy.Select) else _table)
            .where(column.is_not(None), *(group.is_not(None) for group in groups))
            .group_by(*groups)
            .having(
                sqlalchemy.func.count() >= int(min_values),
                largest - smallest <= float(tolerance) if tolerance else largest == smallest,
            )
            .correlate(None)
        )
        missing = sqlalchemy.or_(sqlalchemy.false(), *(group.is_(None) for group in groups))
        return sqlalchemy.or_(missing, series.not_in(flat))


class ExpectColumnRelationsToBeAcyclic(ColumnMapExpectation):
    """Expect the relations of a table to form no cycle; what fails is every relation that lies on one.

    A relation lies on a cycle where its two ends are in one strongly connected component, or are the same. A row of
    which an end is missing passes.

    Args:
        column: where a relation begins.
        target_column: where it ends.
    """

    target_column: str

    map_metric: ClassVar[str | None] = "column_values.relations_acyclic"
    success_keys: ClassVar[tuple[str, ...]] = ("target_column", "mostly")


class RelationsAcyclic(ColumnMapMetricProvider):
    """Metric of ``ExpectColumnRelationsToBeAcyclic``."""

    condition_metric_name = "column_values.relations_acyclic"
    condition_value_keys = ("target_column",)

    @column_condition_partial(engine=DuckDBExecutionEngine)
    def _duckdb(
        cls, column: Any, target_column: str, _execution_engine: Any, _table: Any, _metrics: Any, **_: Any
    ) -> Any:
        target = _column(target_column, _metrics)
        ends = [sqlalchemy.cast(end, sqlalchemy.String) for end in (column, target)]
        source = _table.subquery() if isinstance(_table, sqlalchemy.Select) else _table
        edges: Any = (
            sqlalchemy.select(ends[0].label("source"), ends[1].label("target"))
            .select_from(source)
            .where(column.is_not(None), target.is_not(None))
            .distinct()
        )
        cycles = cyclic_rows(_execution_engine.engine, kept_rows(_execution_engine.engine, edges))
        on_one = sqlalchemy.select(sqlalchemy.func.row(cycles.c.source, cycles.c.target)).select_from(cycles)
        return sqlalchemy.or_(target.is_(None), sqlalchemy.func.row(*ends).not_in(on_one))


class ExpectBaselineMetricsToBeReported(UnexpectedRowsExpectation):
    """Expect each metric that the baseline expects of a CI of this dataset to be reported; what fails is no row of it.

    The policy's ``meta`` needs ``subject: {kind: expected_instance, key: [ci_id, metric]}``, and ``population`` to say
    how many are expected.

    Args:
        column: the CI, in the dataset and in ``expected_instances``.
        expected_instances: table with one row per expected instance, such as ``shared.expected_instances``.
        metric_column: the metric that is expected.
        reported_column: whether it is reported.
    """

    column: str
    expected_instances: str
    metric_column: str = "metric"
    reported_column: str = "is_reported"
    unexpected_rows_query: str = ""

    @root_validator(pre=True)
    def _write_the_query(cls, values: dict[str, Any]) -> dict[str, Any]:
        names: dict[Literal["column", "metric_column", "reported_column"], str] = {
            "column": values.get("column", ""),
            "metric_column": values.get("metric_column", "metric"),
            "reported_column": values.get("reported_column", "is_reported"),
        }
        ci, metric, reported = (_escaped(identifier(str(name))) for name in names.values())
        expected = qualified(_table_name(str(values.get("expected_instances", ""))))
        query = (
            f"SELECT {ci}, {metric} FROM {expected} WHERE NOT {reported} "  # noqa: S608 - quoted
            f"AND {ci} IN (SELECT {ci} FROM {{batch}})"
        )
        # GX gives it back with the other arguments.
        if values.get("unexpected_rows_query", query) != query:
            raise ValueError("the query is written from the other arguments")
        return values | {"unexpected_rows_query": query}


def _table_name(name: str) -> str:
    if not _TABLE.fullmatch(name):
        raise ValueError(f"{name!r} is no table: name it like cmdb.configuration_items")
    return name


def _escaped(name: str) -> str:
    """A name in a query whose braces are placeholders."""
    return name.replace("{", "{{").replace("}", "}}")


def _column(name: str, metrics: Any) -> Any:
    """A column beside the judged one; GX itself looks only for that one."""
    if name not in metrics["table.columns"]:
        raise ValueError(f'The column "{name}" does not exist')
    return sqlalchemy.column(name)


def _microseconds(day_end: str | None, engine: Any) -> int:
    """The end of the day since 1970, as given or as the connection knows it."""
    if day_end is None:
        variable = sqlalchemy.cast(sqlalchemy.func.getvariable("day_end"), sqlalchemy.TIMESTAMP(timezone=True))
        known = sqlalchemy.select(sqlalchemy.func.epoch_us(variable))
        if (row := engine.execute_query(known).fetchone()) is None or row[0] is None:
            raise ValueError("the end of the day is not known here: say day_end")
        return int(row[0])
    end = datetime.fromisoformat(day_end)
    aware = end if end.tzinfo else end.replace(tzinfo=UTC)
    return round((aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * _MICROSECONDS)
