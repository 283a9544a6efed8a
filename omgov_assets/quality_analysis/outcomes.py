"""Outcomes: what became of the anomalies of the day before that are not there any more.

An anomaly that is gone is *resolved* only where it was judged again. Does not belong here: counting outcomes
(``statistics``, ``scorecards``), closing anything by them (``exception_management``).
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_policy.violations import CHECK_RESULTS

_OUTCOMES_SQL = read_sql(Path(__file__).with_name("outcomes.sql"))


def create_outcomes(lake: Lake, con: duckdb.DuckDBPyConnection, day: date) -> None:
    """Create the temporary table ``outcomes``: every anomaly of the day before that is not one of the day.

    Columns: those of ``quality/anomalies`` as they were the day before; outcome, one of

    - ``unverified``: not judged again. The verdict of one of its policies is missing or an error, or one of its
      policies is judged no more; for a row that the gate refused, none of the dataset's policies has a verdict; for
      a derived series, its metric could not be derived.
    - ``withdrawn``: an instance that left the inventory.
    - ``resolved``: all others.

    Needs the view ``instances`` of ``register_inventory``. Creates the views anomalies, check_results (of the day),
    previous_anomalies and previous_check_results.
    """
    yesterday = day - timedelta(days=1)
    for view, table, of_day in (
        ("anomalies", ANOMALIES, day),
        ("previous_anomalies", ANOMALIES, yesterday),
        ("check_results", CHECK_RESULTS, day),
        ("previous_check_results", CHECK_RESULTS, yesterday),
    ):
        lake.register(con, view, table, of_day)
    judge_what_is_gone(con)


def judge_what_is_gone(con: duckdb.DuckDBPyConnection) -> None:
    """Create the temporary table ``outcomes`` of ``create_outcomes`` from the views that stand.

    ``previous_anomalies`` may be of several days, each anomaly as it was last seen, and ``previous_check_results`` of
    the same days: a policy that had a verdict on one of them and has none now is judged no more.
    """
    con.execute(f"CREATE OR REPLACE TEMP TABLE outcomes AS {_OUTCOMES_SQL}", {"derived": DERIVED_SYSTEM})
