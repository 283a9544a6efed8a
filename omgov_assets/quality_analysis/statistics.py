"""Statistics: how many anomalies, on how many of how many instances, for each cell of the cube of dimensions.

Belongs here: counting, and what a count is set against. Does not belong here: the order of the cells
(``rankings``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path

import duckdb

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.documents import content_hash
from omgov_assets.quality_analysis.cmdb import create_ci_dimensions, register_cmdb
from omgov_assets.quality_analysis.inventory import register_inventory
from omgov_assets.quality_analysis.outcomes import create_outcomes
from omgov_assets.quality_analysis.rules import AnalysisRules, register_weights

STATISTICS = "quality/anomaly_statistics"

# The cells of the cube: these names joined with '+' are a row's dimension_set; the empty set is 'all'.
DIMENSION_SETS: tuple[tuple[str, ...], ...] = (
    (),
    ("anomaly_type",),
    ("quality_dimension",),
    ("severity",),
    ("system",),
    ("metric",),
    ("application_id",),
    ("host_id",),
    ("network_device_id",),
    ("site_id",),
    ("support_group_id",),
    ("owner_id",),
    ("collector",),
    ("anomaly_type", "system"),
    ("anomaly_type", "support_group_id"),
    ("anomaly_type", "metric"),
    ("anomaly_type", "application_id"),
    ("anomaly_type", "network_device_id"),
    ("anomaly_type", "site_id"),
    ("anomaly_type", "owner_id"),
    ("system", "support_group_id"),
    ("quality_dimension", "system"),
    ("severity", "system"),
)

# Two-sided 95 %.
WILSON_Z = 1.959963984540054

_INSTANCE_COUNTS_SQL = read_sql(Path(__file__).with_name("instance_counts.sql"))
_STATISTICS_SQL = read_sql(Path(__file__).with_name("statistics.sql")).replace(
    "{measures}", read_sql(Path(__file__).with_name("statistics_measures.sql"))
)
_WILSON_LOWER_BOUND = """
CREATE OR REPLACE TEMP MACRO wilson_lower_bound(hits, trials) AS CASE
    WHEN trials > 0 THEN greatest(
        0.0,
        (
            least(hits / trials, 1.0) + getvariable('wilson_z') ** 2 / (2 * trials)
            - getvariable('wilson_z') * sqrt(
                least(hits / trials, 1.0) * (1 - least(hits / trials, 1.0)) / trials
                + getvariable('wilson_z') ** 2 / (4 * trials ** 2)
            )
        ) / (1 + getvariable('wilson_z') ** 2 / trials)
    )
END
"""


@dataclass(frozen=True)
class StatisticsSummary:
    """What ``compute_statistics`` did.

    Attributes:
        day: business day.
        cells: rows written.
        anomalies: anomalies of the day.
        new_anomalies: anomalies that were not there the day before.
        resolved_anomalies: anomalies of the day before that were judged again and are gone.
        withdrawn_anomalies: those whose instance left the inventory.
        unverified_anomalies: those that are gone but were not judged again.
        anomalous_instances: distinct metric instances with an anomaly.
        instances: distinct metric instances of the day.
        rate: anomalous_instances / instances; None where there are none.
        severity_score: sum of the weights of the severities.
        business_impact: sum of severity, tier and trading session weights multiplied.
        not_evaluated_share: share of pairs of instance and policy without a verdict; None where there are none.
        version: Delta version of ``quality/anomaly_statistics``.
    """

    day: date
    cells: int
    anomalies: int
    new_anomalies: int
    resolved_anomalies: int
    withdrawn_anomalies: int
    unverified_anomalies: int
    anomalous_instances: int
    instances: int
    rate: float | None
    severity_score: float
    business_impact: float
    not_evaluated_share: float | None
    version: int


def compute_statistics(lake: Lake, day: date, rules: AnalysisRules) -> StatisticsSummary:
    """Count the anomalies of a day for every cell of ``DIMENSION_SETS`` into ``quality/anomaly_statistics``.

    ``anomalous_instances`` and ``instances`` count distinct metric instances; the denominator of a cell is
    that of its dimensions other than anomaly type, quality dimension and severity. An anomaly on a CI with
    several applications counts once in the cell of each, and so with network devices. A null dimension value is the
    cell of what has none. What became of the anomalies of the day before says ``outcomes``:
    previous anomalies + new - resolved - withdrawn - unverified = anomalies, in every cell in which dimensions did not
    change.

    Args:
        lake: the lake.
        day: business day.
        rules: whose inventories there are, and what weighs how much.
    """
    with lake.connect() as con:
        versions = register_cmdb(lake, con, day)
        create_ci_dimensions(con)
        versions |= register_inventory(lake, con, day, rules.systems, last_known=True)
        create_outcomes(lake, con, day)
        versions |= judged_versions(con)
        con.execute(f"CREATE TEMP TABLE instance_counts AS {_INSTANCE_COUNTS_SQL}")
        register_weights(con, rules.scores)
        con.execute("SET VARIABLE wilson_z = $1", [WILSON_Z])
        con.execute(_WILSON_LOWER_BOUND)
        params = {
            "day": day,
            "session_weight": rules.scores.trading_session_weight,
            "policy_hash": hash_of_all_policies(con),
            "data_versions": json.dumps(versions, sort_keys=True, separators=(",", ":")),
        }
        version = lake.replace(STATISTICS, day, con.sql(_STATISTICS_SQL, params=params))
        lake.register(con, "cells", STATISTICS, day)
        # The cube has exactly one cell 'all', on a clean day as well.
        cell_count, total = one_row(
            con, "SELECT (SELECT count(*) FROM cells), cells FROM cells WHERE dimension_set = 'all'"
        )
    measures = {measure.name: total[measure.name] for measure in fields(StatisticsSummary) if measure.name in total}
    return StatisticsSummary(**(measures | {"day": day, "cells": cell_count, "version": version}))


def judged_versions(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Delta versions of the datasets that the day's policies judged, by the view check_results.

    Tables of analysis are written anew by each run of a night; these stay the same.
    """
    rows = con.execute(
        "SELECT system || '/' || dataset, max(data_version) FROM check_results "
        "WHERE data_version IS NOT NULL GROUP BY ALL"
    ).fetchall()
    return dict(rows)


def hash_of_all_policies(con: duckdb.DuckDBPyConnection) -> str | None:
    """One hash for all policies that judged the day, by the views check_results and anomalies; None where none did."""
    rows = con.execute(
        "SELECT policy_hash FROM check_results UNION SELECT policy_hash FROM anomalies ORDER BY policy_hash"
    ).fetchall()
    hashes = [policy_hash for (policy_hash,) in rows if policy_hash is not None]
    return content_hash(*hashes) if hashes else None
