"""How far the firm is from its metric standard: what of each business system is mapped to it and conforms to it.

Reads the lake alone, so that any governed day can be asked. Does not belong here: what is wrong with a single
definition (``quality_policy``), or proposing mappings (``model_management``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import read_sql
from omgov_assets.model_management.control import STANDARD_METRICS, published_rows

DEFINITIONS = "metric_definitions"
INSTANCES = "metric_instances"
FIRM = "all systems"

_COUNTS = (
    "definitions",
    "mapped",
    "conforming",
    "deprecated_in_use",
    "withdrawn_in_use",
    "instances",
    "instances_mapped",
)


def standard_coverage(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Coverage of the standard by business system, by name, and of all of them in the last row.

    Returns:
        Rows with ``system``, ``definitions``, ``mapped`` and ``mapped_percent`` (to a standard metric), ``conforming``
        and ``conforming_percent`` (mapped, with a unit that converts, instrument, value type and interval of the
        standard, to a metric that is neither deprecated nor withdrawn), ``deprecated_in_use`` and
        ``withdrawn_in_use`` (definitions mapped to such a metric), ``unmapped``, ``instances``,
        ``instances_mapped_percent``, and ``standard_metrics`` (distinct ones that definitions or instances are mapped
        to). What a system did not deliver that day is None, and a share of nothing is None.
    """
    rows: list[dict[str, Any]] = []
    used_by_any: set[str] = set()
    with lake.connect() as con:
        lake.register(con, "standard", STANDARD_METRICS, day)
        for system in _measured_systems(con, lake, day):
            relation = con.sql(read_sql(Path(__file__).with_name("standard_coverage.sql")))
            names = relation.columns
            (values,) = relation.fetchall()
            counts: dict[str, Any] = dict(zip(names, values, strict=True))
            used = set(counts.pop("metrics") or ())
            used_by_any |= used
            if not lake.has_day(f"{system}/{DEFINITIONS}", day):
                counts |= dict.fromkeys(_COUNTS[:5])
            if not lake.has_day(f"{system}/{INSTANCES}", day):
                counts |= dict.fromkeys(_COUNTS[5:])
            rows.append(_coverage(system, counts, len(used)))
    if rows:
        rows.append(_coverage(FIRM, {name: _sum(rows, name) for name in _COUNTS}, len(used_by_any)))
    for row in rows:
        del row["instances_mapped"]
    return rows


def standard_metrics(lake: Lake, day: date) -> list[dict[str, Any]]:
    """The standard as published on a day: all columns of ``control/standard_metrics``, by name of the metric."""
    return sorted(published_rows(lake, STANDARD_METRICS, day), key=lambda row: str(row["metric"]))


def standard_metric_use(lake: Lake, day: date, metric: str) -> list[dict[str, Any]]:
    """Source metrics that are mapped to a standard metric, by system, those with most instances first.

    Returns:
        Rows with ``system``, ``source_metric``, ``definitions``, ``source_unit``, ``instrument``, ``value_type``,
        ``interval_s`` and ``instances``.
    """
    rows: list[dict[str, Any]] = []
    with lake.connect() as con:
        for system in _measured_systems(con, lake, day):
            query = read_sql(Path(__file__).with_name("standard_metric_use.sql"))
            found = con.sql(query, params={"metric": metric}).to_arrow_table().to_pylist()
            rows += [{"system": system, **row} for row in found]
    return rows


def _measured_systems(con: duckdb.DuckDBPyConnection, lake: Lake, day: date) -> Iterator[str]:
    """Systems that have metrics in the lake, each while ``definitions`` and ``instances`` are views of its day."""
    folders = {path.parent.name for name in (DEFINITIONS, INSTANCES) for path in lake.root.glob(f"*/{name}")}
    for system in sorted(folders):
        lake.register(con, "definitions", f"{system}/{DEFINITIONS}", day)
        lake.register(con, "instances", f"{system}/{INSTANCES}", day)
        yield system


def _coverage(system: str, counts: dict[str, Any], standard_metrics_used: int) -> dict[str, Any]:
    definitions, mapped = counts["definitions"], counts["mapped"]
    return {
        "system": system,
        "definitions": definitions,
        "mapped": mapped,
        "mapped_percent": _percent(mapped, definitions),
        "conforming": counts["conforming"],
        "conforming_percent": _percent(counts["conforming"], definitions),
        "deprecated_in_use": counts["deprecated_in_use"],
        "withdrawn_in_use": counts["withdrawn_in_use"],
        "unmapped": None if definitions is None else definitions - mapped,
        "instances": counts["instances"],
        "instances_mapped": counts["instances_mapped"],
        "instances_mapped_percent": _percent(counts["instances_mapped"], counts["instances"]),
        "standard_metrics": standard_metrics_used,
    }


def _percent(part: int | None, whole: int | None) -> float | None:
    return None if part is None or not whole else round(100.0 * part / whole, 2)


def _sum(rows: list[dict[str, Any]], name: str) -> int | None:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None
