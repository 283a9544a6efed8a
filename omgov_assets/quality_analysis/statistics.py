"""Statistics: how many anomalies, on how many of how many instances, for each cell of the cube of dimensions.

Belongs here: counting, and what a count is set against. Does not belong here: the order of the cells
(``rankings``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb

from omgov_assets.data_lake.lake import Lake, one_row
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.cmdb import create_ci_dimensions, register_cmdb
from omgov_assets.quality_policy.violations import CHECK_RESULTS

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
    ("anomaly_type", "owner_id"),
    ("system", "support_group_id"),
    ("quality_dimension", "system"),
)

_INSTANCE_COUNTS_SQL = read_sql(Path(__file__).with_name("instance_counts.sql"))
_STATISTICS_SQL = read_sql(Path(__file__).with_name("statistics.sql"))


@dataclass(frozen=True)
class StatisticsSummary:
    """What ``compute_statistics`` did.

    Attributes:
        day: business day.
        cells: rows written.
        anomalies: anomalies of the day.
        new_anomalies: anomalies that were not there the day before.
        resolved_anomalies: anomalies of the day before that were judged again and are gone.
        anomalous_instances: distinct metric instances with an anomaly.
        instances: distinct metric instances of the day.
        version: Delta version of ``quality/anomaly_statistics``.
    """

    day: date
    cells: int
    anomalies: int
    new_anomalies: int
    resolved_anomalies: int
    anomalous_instances: int
    instances: int
    version: int


def compute_statistics(lake: Lake, day: date, systems: Sequence[str]) -> StatisticsSummary:
    """Count the anomalies of a day for every cell of ``DIMENSION_SETS`` into ``quality/anomaly_statistics``.

    ``anomalous_instances`` and ``instances`` count distinct metric instances; the denominator of a cell is
    that of its dimensions other than anomaly type, quality dimension and severity. An anomaly on a CI with
    several applications counts once in the cell of each. A null dimension value is the cell of what has none.
    An anomaly of the day before is resolved only where its policies were evaluated again and, for an
    instance, where it is still in the inventory.

    Args:
        lake: the lake.
        day: business day.
        systems: business systems whose ``metric_instances``, with the derived ones, make up the inventory.
    """
    with lake.connect() as con:
        lake.register(con, "anomalies", ANOMALIES, day)
        lake.register(con, "previous_anomalies", ANOMALIES, day - timedelta(days=1))
        lake.register(con, "check_results", CHECK_RESULTS, day)
        versions = _judged_versions(con)
        versions |= register_cmdb(lake, con, day)
        create_ci_dimensions(con)
        versions |= _register_instances(lake, con, day, [*systems, DERIVED_SYSTEM])
        con.execute(f"CREATE TEMP TABLE instance_counts AS {_INSTANCE_COUNTS_SQL}")
        provenance = {
            "policy_hash": _hash_of_all_policies(con),
            "data_versions": json.dumps(versions, sort_keys=True, separators=(",", ":")),
        }
        cells = con.sql(_STATISTICS_SQL, params={"day": day, **provenance})
        version = lake.replace(STATISTICS, day, cells)
        lake.register(con, "cells", STATISTICS, day)
        # The cube has exactly one cell 'all', on a clean day as well.
        cell_count, anomalies, new_anomalies, resolved_anomalies, anomalous_instances, instances = one_row(
            con,
            "SELECT (SELECT count(*) FROM cells), anomalies, new_anomalies, resolved_anomalies, "
            "anomalous_instances, instances FROM cells WHERE dimension_set = 'all'",
        )
    return StatisticsSummary(
        day=day,
        cells=cell_count,
        anomalies=anomalies,
        new_anomalies=new_anomalies,
        resolved_anomalies=resolved_anomalies,
        anomalous_instances=anomalous_instances,
        instances=instances,
        version=version,
    )


def _register_instances(
    lake: Lake, con: duckdb.DuckDBPyConnection, day: date, systems: Sequence[str]
) -> dict[str, int]:
    """The inventory of all systems as the view ``instances``; returns the Delta versions read."""
    versions: dict[str, int] = {}
    instances = con.sql(
        "SELECT NULL::VARCHAR AS system, NULL::VARCHAR AS instance_id, NULL::VARCHAR AS metric, "
        "NULL::VARCHAR AS ci_id, NULL::VARCHAR AS collector WHERE false"
    )
    columns = [duckdb.ColumnExpression(name) for name in instances.columns]
    for number, system in enumerate(sorted(set(systems))):
        table = f"{system}/metric_instances"
        if not lake.has_day(table, day):
            continue
        version = lake.register(con, f"instances_{number}", table, day)
        if version is not None:
            versions[table] = version
        instances = instances.union(con.view(f"instances_{number}").select(*columns))
    instances.create_view("instances")
    return versions


def _judged_versions(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Delta versions of the datasets that the day's policies judged."""
    rows = con.execute(
        "SELECT system || '/' || dataset, max(data_version) FROM check_results "
        "WHERE data_version IS NOT NULL GROUP BY ALL"
    ).fetchall()
    return dict(rows)


def _hash_of_all_policies(con: duckdb.DuckDBPyConnection) -> str | None:
    """One hash for all policies that judged the day; None where none did."""
    rows = con.execute(
        "SELECT policy_hash FROM check_results UNION SELECT policy_hash FROM anomalies ORDER BY policy_hash"
    ).fetchall()
    hashes = [policy_hash for (policy_hash,) in rows if policy_hash is not None]
    return content_hash(*hashes) if hashes else None
