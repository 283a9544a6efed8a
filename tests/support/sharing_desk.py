"""A home whose datasets are shared: a few rows by day and version, tokens of the project's principals, its service.

It uses the repository's access rules: ``steward`` reads all rows, ``trading_department`` those of its systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from served import MASK_KEY, served

from omgov_assets.access_control.audit_lake import open_log
from omgov_assets.access_control.token_rates import Rate
from omgov_assets.access_control.tokens import TokenStore
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.interface_service.service import Service
from omgov_assets.interface_service.sharing.shares import ShareStore

ANOMALIES, SAMPLES, OWNERS = "quality/anomalies", "securities_trading/metric_samples", "cmdb/owners"
FIRST_DAY, SECOND_DAY, THIRD_DAY = (date(2026, 11, 18) + timedelta(days=number) for number in range(3))
TABLES = "/sharing/shares/quality/schemas"
ANOMALIES_URL = f"{TABLES}/quality/tables/anomalies"

_OFTEN = Rate(per_minute=1_000_000, burst=1_000_000)


class SharingDesk:
    """A home and what is shared of it.

    Args:
        home: its folder.
        project: the project.
    """

    def __init__(self, home: Path, project: Path) -> None:
        self.settings = Settings(home, project)
        self.lake = Lake(self.settings.lake, self.settings.dataset_contracts)
        self.ahead = timedelta(0)
        self.stopped_at: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time of the service: its clock can be put ahead, and be stopped."""
        return (self.stopped_at or datetime.now(UTC)) + self.ahead

    def fill(self, dataset: str, day: date, rows: Sequence[Mapping[str, Any]]) -> int:
        """Make a day of a dataset hold these rows, the rest of their columns null; returns the version."""
        schema = self.lake.schema(dataset)
        content = [{"day": day} | {name: row.get(name) for name in schema.names if name != "day"} for row in rows]
        return self.lake.replace(dataset, day, pa.Table.from_pylist(content, schema=schema.arrow))

    def share(self, *datasets: str, principals: Sequence[str] = ("steward",), name: str = "quality") -> None:
        """Offer datasets to principals."""
        with ShareStore(self.settings.shares) as store:
            store.create(name, self.now)
            for dataset in datasets:
                store.add(name, dataset)
            for principal in principals:
                store.grant(name, principal)

    def token(self, principal: str = "steward", scope: str = "share", life: timedelta = timedelta(days=1)) -> str:
        """A token of a principal."""
        with TokenStore(self.settings.tokens) as tokens:
            return tokens.create(principal, [scope], self.now, life, _OFTEN)[0]

    @contextmanager
    def service(self, **named: Any) -> Iterator[Callable[..., httpx.Client]]:
        """The running service: makes clients of principals (of nobody for None)."""

        def opened() -> AbstractContextManager[Service]:
            environment = {"OMGOV_MASK_KEY": MASK_KEY}
            return Service.of_home(self.settings, None, environment, lambda: self.now, **named)

        with served(self.settings, open_service=opened) as running, ExitStack() as clients:

            def asks(principal: str | None = "steward", scope: str = "share") -> httpx.Client:
                bearer = {} if principal is None else {"Authorization": f"Bearer {self.token(principal, scope)}"}
                return clients.enter_context(httpx.Client(base_url=running.url, headers=bearer, timeout=60))

            yield asks

    def record(self) -> list[dict[str, Any]]:
        """What is on record."""
        with open_log(self.lake, self.settings.audit) as log:
            return [entry.fields for entry in log.entries()]


def anomaly(number: int, system: str = "securities_trading", **values: Any) -> dict[str, Any]:
    """A row of anomalies with the columns that must be there."""
    return {
        "anomaly_id": f"a{number}",
        "anomaly_type": "stale",
        "quality_dimension": "timeliness",
        "severity": "warning",
        "system": system,
        "dataset": "metric_instances",
        "subject_kind": "row",
        "subject_key": f"k{number}",
        "policy_ids": ["p1", "p2"],
        "application_ids": ["app-1"],
        "network_device_ids": [],
        "in_trading_session": number % 2 == 0,
        "tier": number,
        "first_seen_day": FIRST_DAY,
        "policy_hash": "0" * 16,
        "data_version": 0,
    } | values
