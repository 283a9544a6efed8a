"""Cases in the asset graph: nightly, idempotent, with checks that say which case needs somebody."""

from __future__ import annotations

from typing import Any

import dagster as dg
from small_firm import DAY, SmallFirm, instance

from omgov_assets.definitions import build_defs
from omgov_assets.defs.jobs import INVENTORY, NIGHTLY


def govern(job: str = NIGHTLY) -> dg.ExecuteInProcessResult:
    return (
        build_defs()
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=DAY.isoformat(),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (made,) = (
        made
        for made in result.asset_materializations_for_node("exceptions__cases")
        if made.asset_key.path[-1] == "cases"
    )
    return {name: getattr(entry, "records", entry.value) for name, entry in made.metadata.items()}


def test_a_night_makes_cases_once_and_says_which_need_somebody(firm: SmallFirm) -> None:
    firm.deliver_all(instances=[instance(ci="H1"), instance(ci="H404")])
    result = govern()
    assert result.success
    metadata = metadata_of(result)
    assert (metadata["open_cases"], metadata["open_members"], metadata["overdue"]) == (1, 1, 0)
    assert metadata["events_added"] == 2
    (shown,) = metadata["first_cases"]
    assert shown.data["anomaly_type"] == "unknown_ci"
    # Nobody knows H404: the data engineer of the business system answers for it.
    verdicts = {
        e.check_name: e.passed for e in result.get_asset_check_evaluations() if e.asset_key.path[0] == "exceptions"
    }
    assert verdicts == {"overdue": True, "unrouted": True, "owner_inactive": True, "waiver_expiring": True}
    again = metadata_of(govern(INVENTORY))
    assert (again["events_added"], again["open_cases"]) == (0, 1)
