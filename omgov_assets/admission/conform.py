"""Running a conform model: from the records that meet the source contract to rows of the standard dataset.

Fills the temporary table ``conformed`` (the model's rows that meet the standard contract) and the view
``standard_rows`` (those rows with what the platform adds: identity, standard metric, units). Does not belong here:
what happens to refused records (``gate``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from omgov_assets.admission.delivered_table import holds_graded
from omgov_assets.admission.refusal import RefusedBatchError
from omgov_assets.data_lake.durability import is_no_room
from omgov_assets.data_lake.lake import create_view, one_row
from omgov_assets.data_lake.masks import masked_error
from omgov_assets.data_lake.sql import identifier, literal, read_sql
from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.metric_mappings import resolve

HERE = Path(__file__).parent

# What the ledger warns of: rows whose metric no mapping knows, and rows whose unit is missing, unknown or incompatible.
UNMAPPED_METRIC = "unmapped_metric"
UNIT_IN_DOUBT = "unit_in_doubt"

METRIC_DATASETS = {"metric_definitions", "metric_instances", "metric_samples"}

_RESOLUTION_SCHEMA = pa.schema(
    [
        ("source_metric", pa.string()),
        ("source_unit", pa.string()),
        ("metric", pa.string()),
        ("unit", pa.string()),
        ("unit_status", pa.string()),
        ("factor", pa.float64()),
        ("shift", pa.float64()),
        ("attributes", pa.map_(pa.string(), pa.string())),
    ]
)


def run_model(con: duckdb.DuckDBPyConnection, dataset: SourceDataset, batch_id: str, rows_in: int) -> None:
    """Fill ``conformed`` from ``source``.

    Raises:
        RefusedBatchError: the model does not run, gives other columns or types than the standard contract, more than
            one row for a record, or rows that name a record or batch that is not there.
    """
    model = dataset.model
    try:
        con.execute("DROP TABLE IF EXISTS conformed")
        described = con.execute(f"DESCRIBE {model.sql}").fetchall()
        _require_output(dataset, {name: sql_type for name, sql_type, *_ in described}, rows_in)
        required = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in required_output(dataset))
        con.execute(
            f"CREATE TEMP TABLE conformed AS SELECT * FROM ({model.sql}\n) WHERE {required or 'TRUE'}"  # noqa: S608
        )
    except duckdb.Error as error:
        if is_no_room(error):
            raise
        reason = shown_error(error, dataset)
        raise RefusedBatchError(
            "model_failed",
            f"processing model {model.path.name} version {model.header.version} does not run: {reason}; "
            f"its owner {model.header.owner} corrects it",
            rows_in,
        ) from error
    (last,) = one_row(con, "SELECT coalesce(max(_record_no), 1) FROM delivery")
    total, distinct, strangers = con.execute(
        read_sql(HERE / "conformed_counts.sql"), {"batch_id": batch_id, "last": last}
    ).fetchall()[0]
    if strangers:
        raise RefusedBatchError(
            "model_invents_records",
            f"processing model {model.path.name} made {strangers} rows that name no record of the file: it must hand "
            f"on _batch_id and _record_no of source; its owner {model.header.owner} corrects it",
            rows_in,
        )
    if total != distinct:
        raise RefusedBatchError(
            "model_multiplies_rows",
            f"processing model {model.path.name} made {total} rows of {distinct} records: a conform model gives at "
            f"most one row per record; its owner {model.header.owner} corrects it",
            rows_in,
        )


def shown_error(error: duckdb.Error, dataset: SourceDataset, *texts: str) -> str:
    """Why a model does not run, in one line; without values where its source or its output holds graded ones."""
    columns = (*dataset.source_contract.columns, *dataset.standard_contract.columns)
    if holds_graded(columns):
        return masked_error(error, dataset.model.sql, *texts, *(column.name for column in columns))
    return str(error).splitlines()[0]


def required_output(dataset: SourceDataset) -> list[str]:
    """Columns that the standard contract requires of the model's output."""
    return [column.name for column in dataset.standard_contract.conform_columns if column.required]


@dataclass(frozen=True)
class OddRows:
    """Rows that are admitted although something about them is odd: all of them, and by what is odd."""

    rows: int = 0
    by_warning: Mapping[str, int] = field(default_factory=dict)


def standardise(
    con: duckdb.DuckDBPyConnection, governance: Governance, system: BusinessSystem, dataset: SourceDataset, day: date
) -> OddRows:
    """Make the view ``standard_rows`` over ``conformed``: rows with exactly the columns of the standard contract.

    It gives each row of ``conformed`` once; that it does is proved where the rows are written.
    """
    template = "other"
    odd = OddRows()
    if dataset.name in METRIC_DATASETS:
        template = dataset.name
        has_unit = any(column.name == "source_unit" for column in dataset.standard_contract.conform_columns)
        resolution, odd = _resolution(con, governance, system, has_unit)
        # Under a name of its own: `resolution` would be the table that the batch before left in the connection.
        con.register("found_resolution", resolution)
        con.execute("CREATE OR REPLACE TEMP TABLE resolution AS SELECT * FROM found_resolution")
        con.unregister("found_resolution")
        implied = any(one.is_valid for one in resolution["attributes"])
        if any(column.name == "attributes" for column in dataset.standard_contract.columns):
            if implied:
                con.execute(read_sql(HERE / "implied_attributes.sql"))
            query = read_sql(HERE / "canonical_attributes.sql")
            con.execute(f"CREATE OR REPLACE TEMP TABLE canonical_attributes AS {query}")
    query = read_sql(HERE / f"standardise_{template}.sql")
    # A view cannot bind parameters; both values are ours and quoted.
    query = query.replace("$day", literal(day)).replace("$system", literal(system.name))
    create_view(con, "standard_rows", query)
    return odd


def _resolution(
    con: duckdb.DuckDBPyConnection, governance: Governance, system: BusinessSystem, has_unit: bool
) -> tuple[pa.Table, OddRows]:
    """One row per distinct source metric and unit: standard metric, UCUM unit, conversion to the standard's unit, and
    the attributes that the metric's name implies; and in how many rows what of this is in doubt. What the mappings
    leave in doubt is unmapped.
    """
    unit_column = "source_unit" if has_unit else "NULL::VARCHAR"
    counted = con.execute(
        f"SELECT source_metric, {unit_column}, count(*) FROM conformed GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608
    ).fetchall()
    pairs = [(source_metric, source_unit) for source_metric, source_unit, _ in counted]
    standard = {metric.metric: metric for metric in governance.metrics}
    mapped = resolve(system.mappings, (source_metric for source_metric, _ in pairs), standard.keys())
    units = governance.units
    rows: dict[str, list[object]] = {name: [] for name in _RESOLUTION_SCHEMA.names}
    for source_metric, source_unit in pairs:
        mapping = mapped.get(source_metric)
        target = standard[mapping.metric] if mapping else None
        spelling = mapping.unit if mapping and mapping.unit else source_unit
        unit = units.ucum(spelling)
        status = units.status(spelling, target.unit if target else None)
        conversion = units.conversion(unit, target.unit) if target and unit and status == "ok" else None
        # A number without a unit counts as a plain number, which only a dimensionless standard unit can take.
        if target and status == "missing" and target.unit == "1":
            conversion = units.conversion("1", "1")
        values = (
            source_metric,
            source_unit,
            target.metric if target else None,
            unit,
            status,
            conversion.factor if conversion else None,
            conversion.offset if conversion else None,
            list(mapping.attributes.items()) if mapping and mapping.attributes else None,
        )
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)
    odd = _odd_rows([count for *_, count in counted], rows["metric"], rows["unit_status"] if has_unit else None)
    return pa.table(rows, schema=_RESOLUTION_SCHEMA), odd


def _odd_rows(counts: Sequence[int], metrics: Sequence[object], statuses: Sequence[object] | None) -> OddRows:
    """Rows without a standard metric, and rows whose unit is in doubt, where there are units."""
    unmapped = [metric is None for metric in metrics]
    doubtful = [status != "ok" for status in statuses] if statuses is not None else [False] * len(counts)
    found = {
        UNMAPPED_METRIC: sum(count for count, hit in zip(counts, unmapped, strict=True) if hit),
        UNIT_IN_DOUBT: sum(count for count, hit in zip(counts, doubtful, strict=True) if hit),
    }
    either = sum(count for count, *hits in zip(counts, unmapped, doubtful, strict=True) if any(hits))
    return OddRows(either, {warning: rows for warning, rows in found.items() if rows})


def _require_output(dataset: SourceDataset, found: dict[str, str], rows_in: int) -> None:
    expected = {column.name: _duckdb_name(column.sql_type) for column in dataset.standard_contract.conform_columns}
    expected |= {"_batch_id": "VARCHAR", "_record_no": "BIGINT"}
    problems = [f"{name} is missing" for name in expected if name not in found]
    problems += [f"{name} is not in the standard contract" for name in found if name not in expected]
    problems += [
        f"{name} is {found[name]}, not {sql_type}"
        for name, sql_type in expected.items()
        if name in found and found[name] != sql_type
    ]
    if problems:
        raise RefusedBatchError(
            "model_output_differs",
            f"processing model {dataset.model.path.name}: {'; '.join(problems)}; "
            f"its owner {dataset.model.header.owner} corrects it",
            rows_in,
        )


def _duckdb_name(sql_type: str) -> str:
    return {"TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE"}.get(sql_type, sql_type)
