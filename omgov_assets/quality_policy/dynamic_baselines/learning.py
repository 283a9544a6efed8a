"""Learning bands: a day's partition of ``quality/dynamic_baselines``, of its samples and of the partitions before it.

Belongs here: what is usual. A day is summed up once, and bands are learned from the summaries of many days, so that no
night reads the points of another. Does not belong here: which band holds on a day (``bands_in_force``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view, one_row
from omgov_assets.data_lake.sql import identifier, read_sql
from omgov_assets.model_management.baseline_rules import BaselineRules
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.dynamic_baselines.slots import create_slots, day_kind

DYNAMIC_BASELINES = "quality/dynamic_baselines"
SAMPLES = "metric_samples"

_FOLDER = Path(__file__).parent
_SUMMARY_COLUMNS = (
    "system, subject_key, slot, source_metric, points, middle, spread, minimum, maximum, step_s, longest_step_s, "
    "flat_points, is_counter, up_daily, down_daily, up_weekly, down_weekly, day, day_kind"
)


@dataclass(frozen=True)
class LearningSummary:
    """What ``learn_baselines`` did.

    Attributes:
        day: business day.
        series: series with points on the day. learned: series with history, those without points that day included.
        bands: series that have a band now. seasonal: of them, those whose band follows the time of day or the week.
        new_levels: series whose level is new this day. cold_starts: metrics whose instances give one that is new a
            band.
        rows: rows written. version: Delta version of ``quality/dynamic_baselines``.
    """

    day: date
    series: int
    learned: int
    bands: int
    seasonal: int
    new_levels: int
    cold_starts: int
    rows: int
    version: int


def learn_baselines(lake: Lake, governance: Governance, day: date) -> LearningSummary:
    """Write the day's partition: what its points were like, and the bands that hold from the day after it.

    Reads the day's ``metric_samples`` of all business systems and the last ``history_days`` partitions before the day;
    without samples, what was known is carried on.
    """
    rules = governance.dynamic_baselines
    versions: dict[str, int | None] = {}
    with lake.connect() as con:
        register_history(lake, con, day, rules)
        create_slots(con, "slots", governance, day)
        _create_empty_summaries(con)
        for name, system in governance.systems.items():
            if SAMPLES in system.datasets:
                versions[f"{name}/{SAMPLES}"] = lake.register(con, "delivered", f"{name}/{SAMPLES}", day)
                _select_the_days_points(con, governance, day)
                summarise_points(con, rules, day, day_kind(governance, day))
        learned = learn_from_summaries(con, rules, day, day_kind(governance, day), versions)
        version = lake.replace(DYNAMIC_BASELINES, day, learned)
        lake.register(con, "written", DYNAMIC_BASELINES, day)
        counted = one_row(con, read_sql(_FOLDER / "learning_summary.sql"))
    names = ("series", "learned", "bands", "seasonal", "new_levels", "cold_starts", "rows")
    return LearningSummary(day=day, version=version, **dict(zip(names, counted, strict=True)))


def register_history(lake: Lake, con: duckdb.DuckDBPyConnection, day: date, rules: BaselineRules) -> None:
    """Views ``earlier`` (the partitions before the day that count) and ``previous`` (the last one of them)."""
    first = day - timedelta(days=rules.history_days - 1)
    days = [other for other in lake.days(DYNAMIC_BASELINES) if first <= other < day]
    create_view(con, "earlier", _union(lake, days))
    create_view(con, "previous", _union(lake, days[-1:]))


def summarise_points(con: duckdb.DuckDBPyConnection, rules: BaselineRules, day: date, kind: str) -> None:
    """Add the summaries of the points of view ``samples`` (system, instance_id, source_metric, observed_at, value)."""
    _create(con, "points", read_sql(_FOLDER / "points.sql"), {"minimum_points": rules.minimum_points})
    _create(con, "day_summaries", read_sql(_FOLDER / "summaries.sql"), {"day": day, "day_kind": kind})
    con.execute(
        "INSERT INTO summaries BY NAME SELECT *, $day::DATE AS day, $day_kind AS day_kind FROM day_summaries",
        {"day": day, "day_kind": kind},
    )
    con.execute("DROP TABLE points")
    con.execute("DROP TABLE day_summaries")


def learn_from_summaries(
    con: duckdb.DuckDBPyConnection, rules: BaselineRules, day: date, kind: str, versions: dict[str, int | None]
) -> duckdb.DuckDBPyRelation:
    """The partition of the day, from table ``summaries`` and the views of ``register_history``."""
    of_series = f"SELECT {_SUMMARY_COLUMNS} FROM earlier WHERE subject_kind = 'instance'"  # noqa: S608 - fixed words
    create_view(con, "history", f"{of_series} UNION ALL BY NAME FROM summaries")
    chosen = (
        "minimum_days", "minimum_points", "level_shift_days", "trend_gain", "spread_floor", "seasonal_gain",
        "cold_start_instances",
    )  # fmt: skip
    values: dict[str, Any] = {name: getattr(rules, name) for name in chosen}
    values |= {"day": day, "day_kind": kind, "rules_hash": rules.hash}
    values["data_versions"] = json.dumps(versions, sort_keys=True, separators=(",", ":"))
    _create(con, "learned_of_day", read_sql(_FOLDER / "learned.sql"), values)
    return con.table("learned_of_day")


def create_empty_partition(con: duckdb.DuckDBPyConnection, lake: Lake, table: str) -> None:
    """Create a table with the columns of ``quality/dynamic_baselines``."""
    columns = ", ".join(
        f"{identifier(column.name)} {column.sql_type}" for column in lake.schema(DYNAMIC_BASELINES).columns
    )
    con.execute(f"CREATE OR REPLACE TABLE {identifier(table)} ({columns})")


def _union(lake: Lake, days: list[date]) -> str:
    """A query of the rows of some partitions; without any, of none."""
    nothing = lake.query(DYNAMIC_BASELINES, date.max)
    return " UNION ALL ".join([f"({lake.query(DYNAMIC_BASELINES, day)})" for day in days] or [f"({nothing})"])


def _create_empty_summaries(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(f"CREATE OR REPLACE TABLE summaries AS SELECT {_SUMMARY_COLUMNS} FROM previous LIMIT 0")  # noqa: S608


def _select_the_days_points(con: duckdb.DuckDBPyConnection, governance: Governance, day: date) -> None:
    """View ``samples``: points of another day, which a policy tells, are nothing to learn from."""
    start, end = day_bounds(day, governance.firm.zone)
    con.execute("SET VARIABLE learned_from = $start", {"start": start})
    con.execute("SET VARIABLE learned_until = $until", {"until": end})
    create_view(
        con,
        "samples",
        "SELECT system, instance_id, source_metric, observed_at, value FROM delivered "
        "WHERE observed_at >= getvariable('learned_from') AND observed_at < getvariable('learned_until')",
    )


def _create(con: duckdb.DuckDBPyConnection, table: str, query: str, values: dict[str, Any]) -> None:
    con.execute(f"CREATE OR REPLACE TABLE {identifier(table)} AS {query}", values)
