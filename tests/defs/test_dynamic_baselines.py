"""The asset of dynamic baselines: what it waits for, what it says of a day, and that checks read the day before."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from deriving_firm import SUBSIDIARY, build_deriving_firm, deliver, point, series
from small_firm import DAY, SYSTEM, SmallFirm

from omgov_assets.components import firm as firm_module
from omgov_assets.definitions import build_defs
from omgov_assets.defs.jobs import INVENTORY, NIGHTLY

KEY = dg.AssetKey(["quality", "dynamic_baselines"])


@pytest.fixture
def sampling_firm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFirm:
    """Two systems that deliver samples."""
    built = build_deriving_firm(tmp_path)
    monkeypatch.setenv("OMGOV_HOME", str(built.settings.home))
    monkeypatch.setenv("OMGOV_PROJECT", str(built.settings.project))
    firm_module.governance_of.cache_clear()
    firm_module.policy_set_of.cache_clear()
    return built


def test_it_waits_for_the_samples_of_all_systems_and_nothing_for_it(sampling_firm: SmallFirm) -> None:
    graph = build_defs().resolve_asset_graph()
    node = graph.get(KEY)
    assert node.parent_keys == {dg.AssetKey([name, "metric_samples"]) for name in (SYSTEM, SUBSIDIARY)}
    assert (node.child_keys, node.group_name) == (set(), "quality")


def test_a_firm_without_samples_has_no_such_asset(firm: SmallFirm) -> None:
    assert KEY not in build_defs().resolve_asset_graph().get_all_asset_keys()


def test_a_night_learns_and_says_how_much(sampling_firm: SmallFirm) -> None:
    sampling_firm.deliver_all(instances=[series("latency", "A1", "ms")])
    hours = [point("latency", "A1", f"{hour:02}:00:00", 100.0 + hour % 3) for hour in range(24)]
    deliver(sampling_firm, {SYSTEM: [series("latency", "A1", "ms")]}, {SYSTEM: hours})
    for job in (NIGHTLY, INVENTORY):
        result = (
            build_defs()
            .resolve_job_def(job)
            .execute_in_process(
                partition_key=DAY.isoformat(),
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )
        (materialization,) = result.asset_materializations_for_node("quality__dynamic_baselines")
        said = {name: value.value for name, value in materialization.metadata.items()}
        assert (said["series_learned"], said["bands"], said["cold_starts"]) == (1, 0, 0)
        # A slot with a point for each hour, and the day.
        assert said["dagster/row_count"] == 25
    assert sampling_firm.lake.days("quality/dynamic_baselines") == [DAY]
