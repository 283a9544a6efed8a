"""Which band holds on a judged day: what the last partition before it knows of the day's series, slot by slot.

Belongs here: choosing among a series' own seasons, its level and its metric's population, and making it all readable
for policies. Does not belong here: judging points by it (``scoring``).
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake, create_view
from omgov_assets.data_lake.sql import identifier, qualified, read_sql
from omgov_assets.model_management.baseline_rules import BaselineRules
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.dynamic_baselines.learning import DYNAMIC_BASELINES
from omgov_assets.quality_policy.dynamic_baselines.slots import create_slots, day_kind

# The schema in which policies find what follows: `bands`, `slots` and `rules`.
SCHEMA = "dynamic_baselines"

_BANDS_SQL = read_sql(Path(__file__).with_name("bands_in_force.sql"))


def register_bands_in_force(
    con: duckdb.DuckDBPyConnection, lake: Lake, governance: Governance, series: str, day: date
) -> date | None:
    """Create the tables of schema ``dynamic_baselines`` for a judged day.

    ``bands``: instance_id, slot, learned_from (weekly, daily, flat, population; null for no band), center, band_low,
    band_high, usual_step_s, usual_longest_step_s, usual_flat_points, usual_counter. ``slots``: minute (since 1970),
    slot. ``rules``: the constants of ``BaselineRules`` in one row.

    Args:
        con: a connection of the lake.
        lake: the lake.
        governance: control information.
        series: relation of the connection with the judged rows: system, instance_id, source_metric.
        day: the judged day.

    Returns:
        Day of the partition in force: the last one before the judged day that is not too old. None where there is none:
        then no series has a band.
    """
    rules = governance.dynamic_baselines
    oldest = day - timedelta(days=rules.maximum_age_days)
    learned_on = max((other for other in lake.days(DYNAMIC_BASELINES) if oldest <= other < day), default=None)
    create_view(con, f"{SCHEMA}.learned", lake.query(DYNAMIC_BASELINES, learned_on or date.max))
    create_slots(con, f"{SCHEMA}.slots", governance, day)
    create_rules(con, rules)
    create_bands(con, rules, day, day_kind(governance, day), series)
    return learned_on


def create_rules(con: duckdb.DuckDBPyConnection, rules: BaselineRules) -> None:
    """Create table ``dynamic_baselines.rules``."""
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(SCHEMA)}")
    values = {name: value for name, value in rules.model_dump().items() if name != "owner"}
    values["unit_factors"] = list(rules.unit_factors)
    columns = ", ".join(f"${name} AS {identifier(name)}" for name in values)
    con.execute(f"CREATE OR REPLACE TABLE {qualified(f'{SCHEMA}.rules')} AS SELECT {columns}", values)


def create_bands(con: duckdb.DuckDBPyConnection, rules: BaselineRules, day: date, kind: str, series: str) -> None:
    """Create table ``dynamic_baselines.bands`` from ``dynamic_baselines.learned`` and ``.slots``."""
    create_view(
        con, f"{SCHEMA}.judged_series", f"SELECT DISTINCT system, instance_id, source_metric FROM {qualified(series)}"  # noqa: S608
    )  # fmt: skip
    values: dict[str, Any] = {"day": day, "day_kind": kind}
    values |= {"minimum_days": rules.minimum_days, "band_width": rules.band_width}
    con.execute(f"CREATE OR REPLACE TABLE {qualified(f'{SCHEMA}.bands')} AS {_BANDS_SQL}", values)
