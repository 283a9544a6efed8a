"""An inventory of metric instances of one business system, of any size and always the same, for benchmarks of access.

Does not belong here: measuring (``bench_access``, ``bench_rest``).
"""

from __future__ import annotations

from datetime import date

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.sql import identifier

INVENTORY = "securities_trading/metric_instances"

# Values of a column by its type where the table below names no other; `i` is the number of the row.
_BY_TYPE = {
    "VARCHAR": "(i % 1000)::VARCHAR",
    "BIGINT": "i % 100",
    "DOUBLE": "(hash(i) % 100000) / 7.0",
    "DATE": "$day::DATE",
    "TIMESTAMPTZ": "TIMESTAMPTZ '2026-11-20 00:00:00+00' + to_seconds(i % 86400)",
}
_VALUES = {
    "instance_id": "md5(i::VARCHAR)",
    "ci_id": "'ci-' || (i % 20000)",
    "metric": "CASE WHEN i % 10 > 0 THEN 'host.cpu.utilization' END",
    "attributes": "'{\"disk\":\"' || (i % 50) || '\"}'",
    "_record_no": "i",
}


def write_inventory(lake: Lake, day: date, rows: int) -> None:
    """Write so many rows as the day's ``INVENTORY``."""
    with lake.connect() as con:
        values = ", ".join(
            f"({_VALUES.get(column.name, _BY_TYPE[column.sql_type])})::{column.sql_type} AS {identifier(column.name)}"
            for column in lake.schema(INVENTORY).columns
        )
        drawn = con.sql(f"SELECT {values} FROM range($rows) numbers(i)", params={"day": day, "rows": rows})
        lake.replace(INVENTORY, day, drawn)
