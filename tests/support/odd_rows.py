"""A home with few rows of odd values, and the service over it.

The values are extremes of every type, text that breaks formats, and much that repeats.
Written to ``securities_trading/metric_instances``, ``quality/anomalies`` and ``cmdb/owners`` by the lake itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from served import Served

from omgov_assets.access_control.enforcement import EnforcementPoint
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.service import Service

DAY, NEXT_DAY = date(2026, 11, 20), date(2026, 11, 23)
INSTANCES, ANOMALIES, OWNERS = "securities_trading/metric_instances", "quality/anomalies", "cmdb/owners"

TEXTS = (
    "plain", "", None, "=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\ttab", "\rreturn", "a,b", 'a"b', "line\nend",
    "line\r\nend", "王芳", "😀", "<b>", "a:b", "it's", " space ", "null", "0", "2026-11-20",
)  # fmt: skip
INTEGERS = (0, 1, -1, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), None, 7, 7)
NUMBERS = (0.0, -0.0, 0.1, 1e300, -1e-300, math.nan, math.inf, -math.inf, None, 2.5, 2.5)
TIMES = (
    datetime(2026, 11, 20, 1, 2, 3, 4, UTC), datetime(1970, 1, 1, tzinfo=UTC), None, datetime(1, 1, 2, tzinfo=UTC),
    datetime(9999, 12, 30, tzinfo=UTC),
)  # fmt: skip
LISTS = (["a"], [], None, ["a, b", "=1+1"], ["x", None])
ROWS = 60


@dataclass(frozen=True)
class Odd:
    """The service over the home, and its parts in this process.

    Attributes:
        served: the running service.
        client: a client with a token of the principal ``steward``.
        inside: the same home, opened once more.
    """

    served: Served
    client: httpx.Client
    inside: Service

    @property
    def door(self) -> EnforcementPoint:
        """What governed data leaves through."""
        return self.inside.rules().door


def instance(number: int, **other: Any) -> dict[str, Any]:
    """A metric instance; values repeat at different paces, so that every sort has ties."""
    return {
        "day": DAY if number % 3 else NEXT_DAY,
        "system": "securities_trading",
        "instance_id": f"i{number:03}",
        "source_metric": TEXTS[number % len(TEXTS)] or "none",
        "metric": ("host.cpu.utilization", None, "nothing.known")[number % 3],
        "ci_id": f"ci-{number % 5}",
        "attributes": "{}",
        "unit": TEXTS[(number * 7) % len(TEXTS)],
        "unit_status": "agreed",
        "interval_s": INTEGERS[number % len(INTEGERS)],
        "last_seen_at": TIMES[number % len(TIMES)],
        "value_mean": NUMBERS[number % len(NUMBERS)],
        "_batch_id": "b",
        "_record_no": number,
    } | other


def anomaly(number: int, **other: Any) -> dict[str, Any]:
    """An anomaly of one of two business systems."""
    return {
        "day": DAY,
        "anomaly_id": f"a{number:03}",
        "anomaly_type": "flat_line",
        "quality_dimension": "accuracy",
        "severity": ("critical", "warning", "info")[number % 3],
        "system": ("securities_trading", "asset_management")[number % 2],
        "dataset": "metric_instances",
        "subject_kind": "row",
        "subject_key": f"i{number:03}",
        "application_ids": LISTS[number % len(LISTS)],
        "observed": TEXTS[number % len(TEXTS)],
        "expected": "another",
        "in_trading_session": (True, False, None)[number % 3],
        "tier": INTEGERS[number % len(INTEGERS)],
        "first_seen_day": DAY,
    } | other


def owner(number: int, **other: Any) -> dict[str, Any]:
    """An owner, with contacts that are masked."""
    return {
        "day": DAY,
        "system": "cmdb",
        "owner_id": f"OWN-{number}",
        "name": ("Ann", "王芳", "=1+1")[number % 3],
        "email": f"person{number}@example.com",
        "phone": f"1380000{number:04}",
        "active": number % 2 == 0,
        "support_group_id": "SG-1",
        "_batch_id": "b",
        "_record_no": number,
    } | other


def odd_home(home: Path, project: Path, tables: Mapping[str, Sequence[dict[str, Any]]] | None = None) -> Settings:
    """A home with these rows, default ``ROWS`` of each table; each table has two versions."""
    settings = Settings(home, project)
    lake = Lake(settings.lake, settings.dataset_contracts)
    wanted = tables or {
        INSTANCES: [instance(number) for number in range(ROWS)],
        ANOMALIES: [anomaly(number) for number in range(ROWS)],
        OWNERS: [owner(number) for number in range(9)],
    }
    for table, rows in wanted.items():
        for day in sorted({row["day"] for row in rows}):
            write(lake, table, day, [row for row in rows if row["day"] == day])
    return settings


def write(lake: Lake, table: str, day: date, rows: Sequence[Mapping[str, Any]]) -> None:
    """Make a table hold these rows of a day; columns that a row does not name are null, or empty where required."""
    schema = lake.schema(table)
    empty = {"VARCHAR": "", "BIGINT": 0, "DATE": day, "VARCHAR[]": [], "BOOLEAN": False}
    given = [
        {one.name: row.get(one.name, empty.get(one.sql_type) if one.required else None) for one in schema.columns}
        for row in rows
    ]
    lake.replace(table, day, pa.Table.from_pylist(given, schema.arrow))
