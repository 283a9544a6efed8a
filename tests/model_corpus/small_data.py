"""A few rows for each table that a model of the corpus reads: the same in every run, of the contracts' types.

Does not belong here: which tables a model reads (``firm_models``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import yaml
from firm_models import TIMESTAMPTZ

from omgov_assets.model_management.contracts import DataContract

BEGIN = datetime(2026, 11, 3, 1, 30, tzinfo=UTC)
# Forty points of each standard metric on two applications, the day's profile of each, and nine CIs.
MADE_ROWS = {
    "metric_samples": """
        SELECT
            'market_data' AS system,
            metric || '@' || ci_id AS instance_id,
            metric,
            ci_id,
            MAP {'device': 'sda'} AS attributes,
            TIMESTAMPTZ '2026-11-03 01:30:00+00' + to_seconds(30 * point) AS observed_at,
            60.0 + point AS value
        FROM unnest($metrics) AS m(metric), (VALUES ('APP-0001'), ('APP-0002')) AS c(ci_id), range(40) AS p(point)
    """,
    "metric_instances": """
        SELECT
            'market_data' AS system,
            metric || '@' || ci_id AS instance_id,
            metric,
            ci_id,
            MAP {'device': 'sda'} AS attributes,
            60 AS interval_s,
            1440 AS sample_count,
            1.0 AS value_min,
            90.0 AS value_max,
            40.0 AS value_mean
        FROM unnest($metrics) AS m(metric), (VALUES ('APP-0001'), ('APP-0002')) AS c(ci_id)
    """,
    "configuration_items": """
        SELECT
            DATE '2026-11-03' AS day,
            'cmdb' AS system,
            prefix || '-000' || number AS ci_id,
            ci_class,
            ci_id AS name,
            'in_use' AS status,
            number AS tier
        FROM
            (VALUES ('APP', 'application'), ('HOST', 'host'), ('DB', 'database')) AS c(prefix, ci_class),
            range(1, 4) AS n(number)
        WHERE len($metrics) > 0
    """,
}
DEFAULTS: dict[str, tuple[Any, ...]] = {
    "VARCHAR": ("a", "b"),
    "BIGINT": (1, 2, 3),
    "DOUBLE": (1.5, 2.5),
    "BOOLEAN": (True, False),
    "DATE": (date(2026, 11, 3),),
    "TIMESTAMP": (datetime(2026, 11, 3, 9, 30), datetime(2026, 11, 3, 9, 31)),
    TIMESTAMPTZ: (BEGIN, BEGIN + timedelta(minutes=1)),
    # DuckDB reads maps from text; a dict would be a struct.
    "MAP(VARCHAR, VARCHAR)": ("{device=sda, direction=RX}", "{}"),
}


def fill(
    con: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], contract: DataContract, metrics: list[str]
) -> None:
    """Rows by the examples of the contract; where it gives none for the day's data of metrics and CIs, made ones."""
    if table in MADE_ROWS:
        con.execute(f"INSERT INTO {table} BY NAME {MADE_ROWS[table]}", {"metrics": metrics})
        return
    rows = _rows_by_examples(contract, columns)
    if table == "source":
        rows = [{**row, "_batch_id": "batch", "_record_no": number} for number, row in enumerate(rows, 1)]
    placeholders = ", ".join(f"?::{kind}" for kind in columns.values())
    con.executemany(f"INSERT INTO {table} VALUES ({placeholders})", [[row.get(c) for c in columns] for row in rows])


def _rows_by_examples(contract: DataContract, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    document = yaml.safe_load(contract.path.read_text(encoding="utf-8"))
    examples = {column["name"]: column.get("examples") for column in document["schema"][0]["properties"]}
    keys = [column.name for column in contract.columns if column.key]
    count = 12
    rows: dict[Any, dict[str, Any]] = {}
    for number in range(count):
        row: dict[str, Any] = {}
        for column in contract.columns:
            if number < count - 1 or column.required:
                values = examples[column.name] or DEFAULTS[columns.get(column.name, "VARCHAR")]
                row[column.name] = values[number % len(values)]
        rows.setdefault(tuple(row[key] for key in keys) or number, row)
    return list(rows.values())
