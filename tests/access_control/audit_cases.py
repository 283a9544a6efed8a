"""A home with an audit, and decisions to record in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from omgov_assets.access_control import audit_lake
from omgov_assets.access_control.audit_chain import Decision, Entry
from omgov_assets.access_control.audit_log import AuditLog
from omgov_assets.access_control.audit_verify import Verification, verify
from omgov_assets.data_lake import lake as lake_module
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
POLICY_HASH = "0123456789abcdef"


def decision(number: int = 0, at: datetime | None = None, **changes: Any) -> Decision:
    """A permission, or a denial where the number is odd; each a second after the one before."""
    is_allowed = number % 2 == 0
    given: dict[str, Any] = {
        "at": at or NOON + timedelta(seconds=number),
        "principal": f"consumer-{number % 7}",
        "dataset": "quality/anomalies",
        "decision": "allow" if is_allowed else "deny",
        "reason": "permit: readers_of_quality" if is_allowed else "no policy permits it",
        "policy_hash": POLICY_HASH,
        "purpose": "capacity planning" if number % 3 else None,
        "version": 4 + number,
        "columns": ("day", "anomaly_id", "owner_id") if is_allowed else (),
        "masks": {"owner_id": "hmac"} if is_allowed else {},
        "rows": "support_group_id = 'G-1'" if is_allowed else "none",
        "row_count": 100 + number if is_allowed else None,
    }
    return Decision(**(given | changes))


class Home:
    """A home whose audit is written, stored and verified as the platform does it."""

    def __init__(self, path: Path, project: Path) -> None:
        self.settings = Settings(path, project)
        self.lake = Lake(self.settings.lake, self.settings.dataset_contracts)
        self.audit = self.settings.audit

    def log(self) -> AuditLog:
        return audit_lake.open_log(self.lake, self.audit)

    def record(self, first: int, last: int) -> list[Entry]:
        with self.log() as log:
            return [log.record(decision(number)) for number in range(first, last + 1)]

    def store(self, batch_entries: int = audit_lake.BATCH_ENTRIES) -> int:
        with self.log() as log:
            return audit_lake.store_entries(self.lake, log, batch_entries)

    def verify(self, anchored: dict[int, str] | None = None) -> Verification:
        # Files are changed behind the lake's back here, which keeps opened tables.
        lake_module._handles.clear()
        return verify(self.lake, self.audit, anchored)

    def faults(self, anchored: dict[int, str] | None = None) -> list[tuple[str, str, int | None]]:
        return [(found.place, found.fault, found.seq) for found in self.verify(anchored).findings]

    def entries(self) -> list[Entry]:
        """All entries, in the lake and in the log, each once."""
        lake_module._handles.clear()
        found = []
        if self.lake.version(audit_lake.AUDIT) is not None:
            found = [entry for _, entry in audit_lake.entries_in_lake(self.lake)]
        with self.log() as log:
            return found + log.entries(found[-1].seq if found else 0)
