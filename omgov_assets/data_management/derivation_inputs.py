"""What derive models read, made readable: each dataset of a day as a table of a connection, under its bare name.

Points and profiles come in the unit of the standard; what cannot be converted is left out and counted. Does not belong
here: which datasets a model reads (``derivation_reads``), running it (``derivation_run``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from omgov_assets.data_lake.lake import Lake, create_view
from omgov_assets.data_lake.schemas import TableSchema
from omgov_assets.data_lake.sql import identifier, literal, qualified, read_sql
from omgov_assets.data_management.derivation_reads import METRIC_TABLES, ModelReads
from omgov_assets.model_management.business_day import day_bounds
from omgov_assets.model_management.contracts import DataContract
from omgov_assets.model_management.documents import content_hash
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM

_HERE = Path(__file__).parent
_STAGING = "staging"
_PLATFORM = ("_batch_id", "_record_no")
_PLACEHOLDER = re.compile(r"\\\{[A-Za-z_][A-Za-z0-9_]*\\\}")
_SAMPLES = {
    "system": "VARCHAR", "instance_id": "VARCHAR", "metric": "VARCHAR", "ci_id": "VARCHAR", "attributes": "VARCHAR",
    "observed_at": "TIMESTAMPTZ", "value": "DOUBLE", "_batch_id": "VARCHAR", "_record_no": "BIGINT",
}  # fmt: skip
_INSTANCES = {
    "system": "VARCHAR", "instance_id": "VARCHAR", "metric": "VARCHAR", "ci_id": "VARCHAR", "attributes": "VARCHAR",
    "unit": "VARCHAR", "unit_status": "VARCHAR", "interval_s": "BIGINT", "sample_count": "BIGINT",
    "value_min": "DOUBLE", "value_max": "DOUBLE", "value_mean": "DOUBLE", "_batch_id": "VARCHAR",
    "_record_no": "BIGINT",
}  # fmt: skip
_CONVERSIONS = pa.schema(
    [
        ("metric", pa.string()),
        ("unit", pa.string()),
        ("unit_status", pa.string()),
        ("factor", pa.float64()),
        ("shift", pa.float64()),
    ]
)


@dataclass(frozen=True)
class LoadedInputs:
    """What a model was given.

    Attributes:
        versions: Delta version by table that was read.
        left_out: number of points that were not passed on, by reason.
        conversions: hash of how values were converted.
    """

    versions: Mapping[str, int | None]
    left_out: Mapping[str, int]
    conversions: str


def input_systems(governance: Governance, reads: ModelReads) -> dict[str, tuple[str, ...]]:
    """The systems whose rows a model needs, by dataset.

    Of the metric datasets, a system counts where its mappings lead to a metric that the model reads. Who reads samples
    reads the inventory, too: it says in which unit a series is.
    """
    wanted = {dataset: _delivering(governance, dataset, reads) for dataset in reads.datasets}
    if "metric_samples" in wanted and "metric_instances" not in wanted:
        inventories = _delivering(governance, "metric_instances", reads)
        wanted["metric_instances"] = tuple(name for name in wanted["metric_samples"] if name in inventories)
    return dict(sorted(wanted.items()))


def maps_to(governance: Governance, system: str, metrics: Iterable[str]) -> bool:
    """Whether a rule of the system can lead to one of the metrics; a placeholder stands for any text."""
    rules = {mapping.metric for mapping in governance.systems[system].mappings}
    exact = set(metrics)
    patterns = [_PLACEHOLDER.sub(".+", re.escape(rule)) for rule in rules if "{" in rule]
    return bool(rules & exact) or any(re.fullmatch(pattern, name) for pattern in patterns for name in exact)


def load_inputs(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    day: date,
    reads: ModelReads,
    upstream: Mapping[str, int],
) -> LoadedInputs:
    """Fill a table for each dataset that a model reads, and nothing else.

    Args:
        con: connection of its own.
        lake: the lake.
        governance: control information.
        day: business day.
        reads: what the model reads.
        upstream: fingerprints of the derived metrics that it may read.
    """
    systems = input_systems(governance, reads)
    versions: dict[str, int | None] = {}
    con.execute(f"CREATE SCHEMA {_STAGING}")
    for dataset, names in systems.items():
        for name in names:
            table = f"{name}/{dataset}"
            versions[table] = lake.register(con, f"{_STAGING}.{name}__{dataset}", table, day)
    left_out: dict[str, int] = {}
    conversions: list[Any] = []
    if "metric_samples" in reads.needed:
        left_out, conversions = _load_samples(con, lake, governance, day, reads, systems, upstream)
    if "metric_instances" in reads.needed:
        needed = _condition(reads.needed["metric_instances"])
        _union(con, lake, "instances", "metric_instances", systems, _INSTANCES, needed)
        _register_derived(con, lake, "metric_instances", day, upstream, _INSTANCES)
        con.execute(f"CREATE TABLE metric_instances AS {read_sql(_HERE / 'derivation_instances.sql')}")
    for dataset in sorted(reads.datasets - set(METRIC_TABLES)):
        _load_other(con, lake, governance.contracts[dataset], systems[dataset])
    con.execute(f"DROP SCHEMA {_STAGING} CASCADE")
    return LoadedInputs(versions, left_out, content_hash(json.dumps(conversions)))


def _delivering(governance: Governance, dataset: str, reads: ModelReads) -> tuple[str, ...]:
    names = [name for name, system in governance.systems.items() if dataset in system.datasets]
    if dataset in METRIC_TABLES and not reads.reads_all_metrics:
        names = [name for name in names if maps_to(governance, name, reads.metrics)]
    return tuple(sorted(names))


def _load_samples(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    governance: Governance,
    day: date,
    reads: ModelReads,
    systems: Mapping[str, tuple[str, ...]],
    upstream: Mapping[str, int],
) -> tuple[dict[str, int], list[Any]]:
    """Fill ``metric_samples``; points left out by reason, and the conversions that were applied."""
    condition = _condition(reads.needed["metric_samples"])
    _union(con, lake, "samples", "metric_samples", systems, _SAMPLES, condition)
    _union(con, lake, "inventory", "metric_instances", systems, _INSTANCES, condition)
    _register_derived(con, lake, "metric_samples", day, upstream, _SAMPLES)
    con.execute(f"CREATE TABLE {_STAGING}.points AS {read_sql(_HERE / 'derivation_points.sql')}")
    units = con.execute(
        f"SELECT DISTINCT metric, unit, unit_status FROM {_STAGING}.points WHERE in_inventory ORDER BY ALL"  # noqa: S608
    ).fetchall()
    conversions = [(*unit, *_conversion(governance, *unit)) for unit in units]
    columns = list(zip(*conversions, strict=True)) or [()] * len(_CONVERSIONS)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _CONVERSIONS, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=_CONVERSIONS)
    con.register("conversions given", table)
    con.execute(f'CREATE TABLE {_STAGING}.conversions AS FROM "conversions given"')
    con.unregister("conversions given")
    start, end = day_bounds(day, governance.firm.zone)
    con.execute(
        f"CREATE TABLE {_STAGING}.judged AS {read_sql(_HERE / 'derivation_judged_points.sql')}",
        {"day_start": start, "day_end": end},
    )
    con.execute(f"CREATE TABLE metric_samples AS {read_sql(_HERE / 'derivation_samples.sql')}")
    left_out = con.execute(
        f"SELECT left_out, count(*) FROM {_STAGING}.judged WHERE left_out IS NOT NULL GROUP BY ALL ORDER BY ALL"  # noqa: S608
    ).fetchall()
    return dict(left_out), conversions


def _conversion(
    governance: Governance, metric: str, unit: str | None, unit_status: str
) -> tuple[float | None, float | None]:
    """Factor and shift from a series' unit to the standard's, as the gate converts profiles."""
    standard = next((one.unit for one in governance.metrics if one.metric == metric), None)
    if unit_status == "missing" and standard == "1":
        unit, unit_status = "1", "ok"
    if standard is None or unit is None or unit_status != "ok":
        return None, None
    conversion = governance.units.conversion(unit, standard)
    return (conversion.factor, conversion.offset) if conversion else (None, None)


def _load_other(con: duckdb.DuckDBPyConnection, lake: Lake, contract: DataContract, systems: tuple[str, ...]) -> None:
    """Fill the table of any other dataset: the columns of its contract, the first record of each key."""
    dataset = contract.dataset
    columns = {column.name: column.sql_type for column in lake.schema(f"{DERIVED_SYSTEM}/{dataset}").columns}
    _union(con, lake, "others", dataset, {dataset: systems}, columns, "TRUE")
    # The lake stores attributes as JSON text.
    shown = ", ".join(
        f"{identifier(column.name)}::JSON::{column.sql_type} AS {identifier(column.name)}"
        if column.sql_type.startswith("MAP(")
        else identifier(column.name)
        for column in contract.columns
        if column.name not in _PLATFORM
    )
    key = ", ".join(identifier(column.name) for column in contract.columns if column.key)
    order = ", ".join(identifier(name) for name in ("system", *_PLATFORM) if name in columns)
    first = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1" if key and order else ""
    con.execute(
        f"CREATE TABLE {identifier(dataset)} AS SELECT {shown} FROM {_STAGING}.others {first}"  # noqa: S608 - quoted
    )


def _union(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    name: str,
    dataset: str,
    systems: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, str],
    condition: str,
) -> None:
    """The rows of all systems as one view of the staging schema."""
    parts = [
        f"{_selected(lake.schema(f'{system}/{dataset}'), columns)} "
        f"FROM {qualified(f'{_STAGING}.{system}__{dataset}')} WHERE {condition}"
        for system in systems.get(dataset, ())
    ]
    nulls = ", ".join(f"NULL::{sql_type} AS {identifier(column)}" for column, sql_type in columns.items())
    create_view(con, f"{_STAGING}.{name}", " UNION ALL ".join([*parts, f"SELECT * FROM (SELECT {nulls}) WHERE false"]))  # noqa: S608


def _register_derived(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    dataset: str,
    day: date,
    upstream: Mapping[str, int],
    columns: Mapping[str, str],
) -> None:
    """Rows of the derived metrics that a model reads, as a view of the staging schema."""
    if upstream:
        lake.register(con, f"{_STAGING}.{DERIVED_SYSTEM}__{dataset}", f"{DERIVED_SYSTEM}/{dataset}", day)
    systems = {dataset: (DERIVED_SYSTEM,) if upstream else ()}
    _union(con, lake, "derived", dataset, systems, columns, _condition(frozenset(upstream)))


def _selected(schema: TableSchema, columns: Mapping[str, str]) -> str:
    """The columns, null where the firm's contract has no such column."""
    there = set(schema.names)
    return "SELECT " + ", ".join(
        f"{identifier(name) if name in there else 'NULL'}::{sql_type} AS {identifier(name)}"
        for name, sql_type in columns.items()
    )


def _condition(metrics: frozenset[str] | None) -> str:
    """Rows of the metrics alone; all mapped rows where it is None."""
    if metrics is None:
        return "metric IS NOT NULL"
    return f"metric IN ({', '.join(map(literal, sorted(metrics)))})" if metrics else "FALSE"
