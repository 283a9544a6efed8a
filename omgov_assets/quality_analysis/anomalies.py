"""Anomalies: what the violations of a day mean, one row for each subject and anomaly type, with all its
dimensions.

Belongs here: joining several policies' violations of one subject, the dimensions of its CI or of its model's owner,
and since when it lasts. Does not belong here: counting (``statistics``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.quality_analysis.cmdb import create_ci_dimensions, create_model_dimensions, register_cmdb
from omgov_assets.quality_analysis.inventory import register_inventory
from omgov_assets.quality_analysis.rules import AnalysisRules
from omgov_assets.quality_policy.violations import VIOLATIONS

ANOMALIES = "quality/anomalies"

_ANOMALIES_SQL = read_sql(Path(__file__).with_name("anomalies.sql"))


@dataclass(frozen=True)
class AnomalySummary:
    """What ``identify_anomalies`` did.

    Attributes:
        day: business day.
        violations: violations read.
        anomalies: anomalies written.
        new_anomalies: anomalies that were not there the day before.
        version: Delta version of ``quality/anomalies``.
    """

    day: date
    violations: int
    anomalies: int
    new_anomalies: int
    version: int


def identify_anomalies(lake: Lake, day: date, rules: AnalysisRules) -> AnomalySummary:
    """Turn the violations of a day into the day's partition of ``quality/anomalies``.

    An anomaly is one (system, dataset, anomaly type, subject). It has the worst severity of its violations;
    observed and expected value, batch and record are those of the first policy by name. ``first_seen_day`` is
    carried over from the partition of the day before, and from no earlier one: a day without the anomaly, or
    without governance, ends the run. ``in_trading_session`` says whether the day is a trading day; a series that fell
    silent only after the last session did not touch it.

    Args:
        lake: the lake.
        day: business day.
        rules: whose inventories there are, and the trading calendar.
    """
    with lake.connect() as con:
        lake.register(con, "violations", VIOLATIONS, day)
        lake.register(con, "previous_anomalies", ANOMALIES, day - timedelta(days=1))
        register_cmdb(lake, con, day)
        create_ci_dimensions(con)
        create_model_dimensions(lake, con, day)
        register_inventory(lake, con, day, rules.systems)
        _, day_end = day_bounds(day, rules.zone)
        times = {"last_close": rules.calendar.last_close(day, rules.zone), "day_end": day_end}
        version = lake.replace(ANOMALIES, day, con.sql(_ANOMALIES_SQL, params={"day": day, **times}))
        lake.register(con, "anomalies", ANOMALIES, day)
        violations, anomalies, new_anomalies = one_row(
            con,
            "SELECT (SELECT count(*) FROM violations), count(*), count(*) FILTER (first_seen_day = day) FROM anomalies",
        )
    return AnomalySummary(day, violations, anomalies, new_anomalies, version)
