"""What we lean on in Dagster and could not see break otherwise: an upgrade that changes it fails here by name."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

PARTITIONS = dg.DailyPartitionsDefinition("2026-11-01", timezone="Asia/Shanghai")


def _graph(ran: list[str], *, blocking: bool, severity: dg.AssetCheckSeverity) -> dg.Definitions:
    @dg.asset(partitions_def=PARTITIONS)
    def upstream() -> None:
        ran.append("upstream")

    @dg.multi_asset_check(
        specs=[dg.AssetCheckSpec("sound", asset="upstream", blocking=blocking, partitions_def=PARTITIONS)],
        can_subset=True,
    )
    def checks() -> Iterator[dg.AssetCheckResult]:
        ran.append("check")
        yield dg.AssetCheckResult(asset_key="upstream", check_name="sound", passed=False, severity=severity)

    @dg.asset(deps=["upstream"], partitions_def=PARTITIONS)
    def downstream() -> None:
        ran.append("downstream")

    job = dg.define_asset_job("all_of_it", selection=dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())
    return dg.Definitions(assets=[downstream, upstream], asset_checks=[checks], jobs=[job])


def _run(definitions: dg.Definitions, job: str = "all_of_it") -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def(job).execute_in_process(partition_key="2026-11-20", raise_on_error=False)


def test_downstream_waits_for_a_blocking_check_and_runs_though_it_failed_with_a_warning() -> None:
    ran: list[str] = []
    result = _run(_graph(ran, blocking=True, severity=dg.AssetCheckSeverity.WARN))
    assert ran == ["upstream", "check", "downstream"]
    assert result.success


def test_a_blocking_check_that_fails_with_an_error_keeps_downstream_from_running() -> None:
    ran: list[str] = []
    result = _run(_graph(ran, blocking=True, severity=dg.AssetCheckSeverity.ERROR))
    assert ran == ["upstream", "check"]
    assert not result.success


def test_a_check_result_carries_the_partition_it_was_made_for() -> None:
    result = _run(_graph([], blocking=True, severity=dg.AssetCheckSeverity.WARN))
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.asset_key == dg.AssetKey("upstream")
    assert evaluation.severity is dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize("day", ["2026-10-31", "2999-01-01"])
def test_days_before_the_first_and_after_today_are_no_partitions(day: str) -> None:
    assert not PARTITIONS.has_partition_key(day)
