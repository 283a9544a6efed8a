"""The nightly update of cases and the digests, with one night of history and with ten.

`make bench` runs it. HOME_TO_ANALYSE names a governed home to copy; without it a fresh sample firm (DEFINITIONS,
INSTANCES) is governed first. The nights after it have the same deliveries; of its anomalies, one in twenty is absent
each night, another one each time, so that members are resolved, come back and are new. One JSON object per night.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bench_analysis import DAY, PROJECT, copy_day, prepare_home

from omgov_assets.anomaly_alert.night import tell_of_night
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.data_lake.lake import Lake
from omgov_assets.exception_management.night import update_cases
from omgov_assets.exception_management.rules import CaseRules
from omgov_assets.model_management.governance import load_governance
from omgov_assets.quality_analysis.anomalies import ANOMALIES
from omgov_assets.quality_analysis.root_causes import ANOMALY_CAUSES, ROOT_CAUSES
from omgov_assets.quality_policy.violations import CHECK_RESULTS

NIGHTS = 10
# Tables of a night that cases and digests read, but for the inventory.
_COPIED = (ROOT_CAUSES, CHECK_RESULTS, "cmdb/configuration_items", "cmdb/ci_relations", "cmdb/owners",
           "cmdb/support_groups")  # fmt: skip


def main() -> None:
    """Time the update and the digests of each night."""
    governance = load_governance(PROJECT)
    rules = CaseRules.of(governance)
    with tempfile.TemporaryDirectory(prefix="omgov-bench-") as folder:
        home = Path(folder) / "home"
        prepare_home(home)
        lake = Lake(home / "lake", PROJECT / "governance" / "standard" / "data_contracts")
        with Outbox(home / "alerts" / "outbox.db") as outbox:
            for number in range(NIGHTS):
                day = DAY + timedelta(days=number)
                if number:
                    _deliver_again(lake, day, number, governance.systems)
                began = time.monotonic()
                summary = update_cases(lake, day, rules)
                updated = time.monotonic()
                night, raised = tell_of_night(lake, governance, home / "report", outbox, day, datetime.now(UTC))
                told = time.monotonic()
                result = {
                    "night": number + 1,
                    "anomalies": night.digests.anomalies,
                    "open_cases": summary.open_cases,
                    "open_members": summary.open_members,
                    "events": summary.events_added,
                    "messages": raised.messages,
                    "update_s": round(updated - began, 2),
                    "digests_s": round(told - updated, 2),
                }
                print(json.dumps(result), flush=True)


def _deliver_again(lake: Lake, day: date, night: int, systems: Iterable[str]) -> None:
    """A night like the first one, of which some anomalies are absent."""
    inventories = [f"{system}/metric_instances" for system in systems]
    for table in (*_COPIED, *(name for name in inventories if lake.has_day(name, DAY))):
        copy_day(lake, table, day)
    for table in (ANOMALIES, ANOMALY_CAUSES):
        copy_day(lake, table, day, f"hash(anomaly_id || '{night}') % 20 <> 0")


if __name__ == "__main__":
    main()
