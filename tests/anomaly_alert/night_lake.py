"""A lake with what a night leaves behind, row by row: anomalies, their causes, the ledger, verdicts and the CMDB."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from alert_cases import DAY

from omgov_assets.anomaly_alert.night import NightAlerts, alerts_of_night
from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management.night import update_cases
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.alert_routes import AlertRoutes
from omgov_assets.model_management.governance import Governance

Row = dict[str, Any]

_SAYS_NOTHING: Row = {
    "VARCHAR": "-",
    "BIGINT": 0,
    "DOUBLE": 0.0,
    "BOOLEAN": True,
    "TIMESTAMPTZ": datetime(2026, 1, 1, tzinfo=UTC),
    "VARCHAR[]": [],
}
OWNERS = [
    {"owner_id": "O-1", "name": "王伟", "email": "wang@example.com", "phone": "13800000001", "active": True},
    {"owner_id": "O-2", "name": "李芳", "email": "li@example.com", "phone": "13800000002", "active": True},
    {"owner_id": "O-3", "name": "张敏", "email": "zhang@example.com", "phone": "13800000003", "active": False},
]
GROUPS = [
    {"support_group_id": "G-1", "name": "主机组", "email": "hosts@example.com"},
    {"support_group_id": "G-2", "name": "数据库组"},
]
PERSONAL = [str(row[name]) for row in OWNERS for name in ("name", "email", "phone")]


@dataclass(frozen=True)
class NightLake:
    """Stands for the rooms below."""

    lake: Lake
    governance: Governance
    report: Path

    def write(self, table: str, rows: Iterable[Row], day: date = DAY) -> None:
        schema = self.lake.schema(table)
        nothing = {column.name: _SAYS_NOTHING.get(column.sql_type, day) for column in schema.columns if column.required}
        full = [nothing | row | {"day": day} for row in rows]
        self.lake.replace(table, day, pa.Table.from_pylist(full, schema=schema.arrow))

    def write_cmdb(self, day: date = DAY) -> None:
        self.write("cmdb/owners", OWNERS, day)
        self.write("cmdb/support_groups", GROUPS, day)

    def write_anomalies(self, anomalies: Iterable[Row], day: date = DAY) -> None:
        """Anomalies with the fields that a test is about; ``cause_id`` among them where there is one."""
        rows = [
            {
                "anomaly_id": f"a{number}",
                "system": "trading",
                "severity": "warning",
                "first_seen_day": day,
                "policy_ids": ["p"],
            }
            | row
            for number, row in enumerate(anomalies)
        ]
        self.write("quality/anomalies", [{k: v for k, v in row.items() if k != "cause_id"} for row in rows], day)
        causes = [{"anomaly_id": row["anomaly_id"], "cause_id": row.get("cause_id")} for row in rows]
        self.write("quality/anomaly_causes", causes, day)

    def update_cases(self, day: date = DAY) -> None:
        """Bring cases up to a day whose anomalies and causes are written."""
        update_cases(self.lake, day, CaseRules.of(self.governance))

    def cases(self, day: date = DAY) -> dict[str, Row]:
        """Cases of a day by anomaly type."""
        return {row["anomaly_type"]: row for row in self.rows("exceptions/cases", day)}

    def with_routes(self, routes: AlertRoutes) -> NightLake:
        return NightLake(self.lake, self.governance.model_copy(update={"alerts": routes}), self.report)

    def night(self, day: date = DAY) -> NightAlerts:
        return alerts_of_night(self.lake, self.governance, self.report, day)

    def rows(self, table: str, day: date = DAY) -> list[Row]:
        with self.lake.connect() as con:
            self.lake.register(con, "read", table, day)
            found: list[Row] = con.sql("SELECT * FROM read ORDER BY ALL").to_arrow_table().to_pylist()
        return found
