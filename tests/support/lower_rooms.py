"""A lake in a temporary folder, filled row by row with what the rooms below would have written.

Rows name only what a test is about; the other required columns get a value that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from omgov_assets.data_lake.lake import Lake
from omgov_assets.model_management.score_rules import ScoreRules
from omgov_assets.model_management.trading_calendar import TradingCalendar
from omgov_assets.quality_analysis.rules import AnalysisRules

DAY = date(2026, 11, 20)
NEXT_DAY = date(2026, 11, 21)
THIRD_DAY = date(2026, 11, 22)

Row = dict[str, Any]

# DAY is a Friday: a trading day, as the two after it are not.
RULES = AnalysisRules(
    systems=("asset_management", "securities"),
    scores=ScoreRules(
        severity_weights={"critical": 1, "warning": 0.3, "info": 0.05},
        tier_weights={1: 4, 2: 2},
        trading_session_weight=2,
        minimum_subjects=1,
    ),
    calendar=TradingCalendar(sessions=("09:30-11:30", "13:00-15:00"), closed={2026: ()}),
    zone=ZoneInfo("Asia/Shanghai"),
)

SAYS_NOTHING: dict[str, Any] = {
    "VARCHAR": "-",
    "BIGINT": 0,
    "DOUBLE": 0.0,
    "BOOLEAN": True,
    "TIMESTAMPTZ": datetime(2026, 1, 1, tzinfo=UTC),
}

# Two hosts behind two devices, a database on one of them, another on both, applications over them. HOST-1 is
# listed twice.
CI_COLUMNS = ("ci_id", "ci_class", "name", "site_id", "support_group_id", "owner_id", "tier")
CONFIGURATION_ITEMS: list[Row] = [
    dict(zip(CI_COLUMNS, values, strict=True))
    for values in (
        ("HOST-1", "host", "sh-01", "SITE-1", "SG-1", "OWN-1", None),
        ("HOST-1", "host", "again", "SITE-2", "SG-2", "OWN-2", None),
        ("HOST-2", "host", "sh-02", "SITE-1", "SG-2", None, None),
        ("DB-1", "database", "orders", "SITE-1", "SG-1", None, None),
        ("DB-2", "database", "ledger", "SITE-2", None, "OWN-2", None),
        ("APP-1", "application", "交易", None, None, "OWN-1", 1),
        ("APP-2", "application", "清算", None, "SG-1", None, 3),
        ("NET-1", "network_device", "sw-1", "SITE-1", None, None, None),
        ("NET-2", "network_device", "sw-2", "SITE-1", None, None, None),
        ("SITE-1", "site", "上海营业部", None, None, None, None),
        ("SITE-2", "site", "北京营业部", None, None, None, None),
    )
]
CI_RELATIONS: list[tuple[str, str, str]] = [
    ("APP-2", "runs_on", "HOST-1"),
    ("APP-2", "runs_on", "HOST-2"),
    ("APP-1", "runs_on", "HOST-1"),
    ("DB-1", "runs_on", "HOST-1"),
    ("DB-2", "runs_on", "HOST-1"),
    ("DB-2", "runs_on", "HOST-2"),
    ("APP-2", "depends_on", "DB-1"),
    ("HOST-1", "connected_to", "NET-2"),
    ("HOST-1", "connected_to", "NET-1"),
    ("APP-GONE", "runs_on", "HOST-2"),
]
SUPPORT_GROUPS: list[Row] = [
    {"support_group_id": "SG-1", "name": "主机组"},
    {"support_group_id": "SG-2", "name": "数据库组"},
]
OWNERS: list[Row] = [
    {"owner_id": "OWN-1", "name": "王伟", "phone": "13800000001", "email": "wang@example.com"},
    {"owner_id": "OWN-2", "name": "李芳", "phone": "13800000002", "email": "li@example.com"},
]


@dataclass(frozen=True)
class Rooms:
    """Stands for the rooms below: writes whole days of their tables, and reads tables back."""

    lake: Lake

    def write(self, table: str, day: date, rows: Iterable[Row]) -> None:
        """Replace a day of a table."""
        schema = self.lake.schema(table)
        nothing = {column.name: SAYS_NOTHING.get(column.sql_type) for column in schema.columns if column.required}
        full = [nothing | row | {"day": day} for row in rows]
        self.lake.replace(table, day, pa.Table.from_pylist(full, schema=schema.arrow))

    def write_cmdb(self, day: date) -> None:
        """The CMDB that the tests share."""
        self.write(
            "cmdb/configuration_items",
            day,
            [{"_batch_id": "b", "_record_no": number} | row for number, row in enumerate(CONFIGURATION_ITEMS, 1)],
        )
        names = ("source_ci_id", "relation", "target_ci_id")
        self.write("cmdb/ci_relations", day, [dict(zip(names, row, strict=True)) for row in CI_RELATIONS])
        self.write("cmdb/support_groups", day, SUPPORT_GROUPS)
        self.write("cmdb/owners", day, OWNERS)

    def rows(self, table: str, day: date | None = None, where: str = "true", order: str = "ALL") -> list[Row]:
        """Rows of a table as dictionaries."""
        with self.lake.connect() as con:
            self.lake.register(con, "read", table, day)
            found: list[Row] = (
                con.sql(f"SELECT * FROM read WHERE {where} ORDER BY {order}").to_arrow_table().to_pylist()
            )
        return found


def violation(subject_key: str, anomaly_type: str = "flat_line", **fields: Any) -> Row:
    """A violation of one instance of the securities system."""
    return {
        "system": "securities",
        "dataset": "metric_instances",
        "policy_id": f"metric_instances.{anomaly_type}",
        "anomaly_type": anomaly_type,
        "quality_dimension": "accuracy",
        "severity": "warning",
        "subject_kind": "row",
        "subject_key": subject_key,
        "ci_id": "HOST-1",
        "metric": "system.cpu.utilization",
        "collector": "collector-1",
        "batch_id": "batch",
        "record_no": 1,
        "policy_hash": "policies",
        "data_version": 4,
    } | fields


def instance(instance_id: str, **fields: Any) -> Row:
    """A metric instance of the securities system on HOST-1."""
    return {
        "system": "securities",
        "instance_id": instance_id,
        "metric": "system.cpu.utilization",
        "ci_id": "HOST-1",
        "collector": "collector-1",
    } | fields
