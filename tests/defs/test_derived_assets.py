"""Derived metrics in the asset graph: one asset each, after what they read, and blocked without failing the night."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from deriving_firm import (
    LASTING,
    PEAK,
    PEAK_SQL,
    SUBSIDIARY,
    build_deriving_firm,
    deliver,
    firm_at,
    point,
    series,
    write_model,
)
from firm_at_work import read_governance_anew, work_on, work_on_copy
from small_firm import DAY, SYSTEM, SmallFirm

from omgov_assets.admission.reconciliation import examine_lake
from omgov_assets.definitions import build_defs
from omgov_assets.defs.jobs import INVENTORY, NIGHTLY
from omgov_assets.model_management.errors import GovernanceError

PEAK_KEY = dg.AssetKey(["derived", "app_response_peak"])
LASTING_KEY = dg.AssetKey(["derived", "app_response_lasting"])
LASTING_SQL = (
    f"SELECT ci_id, attributes, observed_at, value / 1000 AS value FROM metric_samples WHERE metric = '{PEAK}'"
)


def built_at(root: Path) -> SmallFirm:
    built = build_deriving_firm(root)
    write_model(built, PEAK, PEAK_SQL, owner="chen@example.com")
    write_model(built, LASTING, LASTING_SQL)
    built.deliver_all(instances=[series("latency", "A1", "ms")])
    deliver(
        built,
        {SYSTEM: [series("latency", "A1", "ms")], SUBSIDIARY: [series("latency", "A1", "s")]},
        {SYSTEM: [point("latency", "A1", "10:00:00", 3.0)], SUBSIDIARY: [point("latency", "A1", "11:00:00", 0.25)]},
    )
    return built


@pytest.fixture
def firm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallFirm:
    """A firm that has delivered and that nobody has governed."""
    built = built_at(tmp_path)
    work_on(built, monkeypatch)
    return built


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dg.ExecuteInProcessResult]:
    """The folder of the same firm after a night, and what came of that night; tests leave both as they are."""
    root = tmp_path_factory.mktemp("governed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        work_on(built_at(root), monkeypatch)
        return root, govern()


@pytest.fixture
def governed(
    night: tuple[Path, dg.ExecuteInProcessResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallFirm:
    """The firm after a night, to go on with."""
    return work_on_copy(night[0], tmp_path / "copy", monkeypatch)


def govern(job: str = NIGHTLY, keys: Iterable[dg.AssetKey] | None = None, day: date = DAY) -> dg.ExecuteInProcessResult:
    read_governance_anew()
    return (
        build_defs()
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=day.isoformat(),
            asset_selection=list(keys) if keys else None,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )


def metadata(result: dg.ExecuteInProcessResult, key: dg.AssetKey) -> dict[str, Any]:
    (found,) = [m for m in result.asset_materializations_for_node("derived_metrics") if m.asset_key == key]
    return {name: value.value for name, value in found.metadata.items()}


def test_each_derived_metric_is_an_asset_that_depends_on_what_it_reads(firm: SmallFirm) -> None:
    read_governance_anew()
    graph = build_defs().resolve_asset_graph()
    inputs = {dg.AssetKey([s, d]) for s in (SYSTEM, SUBSIDIARY) for d in ("metric_samples", "metric_instances")}
    models = dg.AssetKey(["control", "processing_models"])
    assert graph.get(PEAK_KEY).parent_keys == {models, *inputs}
    assert graph.get(LASTING_KEY).parent_keys == {models, PEAK_KEY, *inputs}
    assert PEAK_KEY in graph.get(dg.AssetKey(["quality", "violations"])).parent_keys
    node = graph.get(PEAK_KEY)
    assert (node.group_name, node.owners, node.kinds) == ("derived_metrics", ["chen@example.com"], {"deltalake", "sql"})
    assert PEAK in str(node.description)


def test_a_night_derives_after_the_deliveries_and_their_checks_and_before_the_violations(
    night: tuple[Path, dg.ExecuteInProcessResult],
) -> None:
    root, result = night
    firm = firm_at(root)
    assert result.success
    assert firm.rows("derived/metric_samples", "metric, value") == [
        (LASTING, 0.003), (LASTING, 0.25), (PEAK, 3.0), (PEAK, 250.0),
    ]  # fmt: skip
    steps = [event.step_key for event in result.all_events if event.is_step_success]
    derived = steps.index("derived_metrics")
    assert derived > max(steps.index(f"{system}_policies") for system in (SYSTEM, SUBSIDIARY))
    assert derived < steps.index("violations")
    shown = metadata(result, PEAK_KEY)
    assert (shown["dagster/row_count"], shown["decision"], shown["instances"]) == (2, "derived", 1)
    assert "time_bucket" in shown["query"]
    assert shown["input_versions"][f"{SYSTEM}/metric_samples"] == firm.lake.version(f"{SYSTEM}/metric_samples")


def test_the_lake_is_sound_with_rows_that_nobody_delivered(governed: SmallFirm) -> None:
    assert examine_lake(governed.lake) == []


def test_a_derived_series_counts_as_an_instance_in_the_statistics(governed: SmallFirm) -> None:
    found = governed.rows("quality/anomaly_statistics", "dimension_set, instances")
    assert ("all", 4) in found


def test_a_blocked_metric_is_an_anomaly_of_its_owner_and_fails_nothing(firm: SmallFirm) -> None:
    write_model(firm, PEAK, "SELECT nothing", owner="Chen@Example.com ")
    owners = firm.settings.governance / "systems" / "cmdb" / "owners.sql"
    owners.write_text(owners.read_text().replace("NULL::VARCHAR AS email", "'chen@example.com' AS email"))
    result = govern()
    assert result.success
    assert metadata(result, PEAK_KEY)["decision"] == "blocked"
    assert "[unknown_column]" in metadata(result, PEAK_KEY)["blocked_because"]
    columns = "subject_key, anomaly_type, system, dataset, subject_kind, severity, owner_id, ci_id"
    rows = firm.rows("quality/anomalies", columns)
    shared = ("derivation_blocked", "derived", "metric_samples", "processing_model", "critical")
    blocked = [row for row in rows if row[1] == "derivation_blocked"]
    assert blocked == [(LASTING, *shared, None, None), (PEAK, *shared, "O1", None)]
    # What the check found in the model is an anomaly of its owner, too.
    found = ("model_unknown_column", "derived", "processing_models", "processing_model", "critical")
    assert (PEAK, *found, "O1", None) in rows
    ranked = firm.rows("quality/anomaly_rankings", "dimension, key, anomalies")
    of_owner = firm.rows("quality/anomalies", "count(*) FILTER (owner_id = 'O1')")
    assert ("owner", "O1", *of_owner[0]) in ranked
    of_metric = firm.rows("quality/anomalies", f"count(*) FILTER (metric = '{PEAK}')")
    assert ("metric", PEAK, *of_metric[0]) in ranked


def test_one_derived_metric_can_be_computed_alone(governed: SmallFirm) -> None:
    write_model(governed, LASTING, LASTING_SQL.replace("value / 1000", "2 * value / 1000"))
    result = govern(keys=[LASTING_KEY])
    changed = [event.asset_key for event in result.all_events if event.is_step_materialization]
    assert changed == [LASTING_KEY]
    assert governed.rows("derived/metric_samples", "metric, value") == [
        (LASTING, 0.006), (LASTING, 0.5), (PEAK, 3.0), (PEAK, 250.0),
    ]  # fmt: skip


@pytest.mark.usefixtures("governed")
def test_inventory_governance_derives_nothing() -> None:
    assert "derived_metrics" not in {node.name for node in govern(INVENTORY).job_def.nodes}


def test_a_firm_without_derive_models_has_no_such_asset(firm: SmallFirm) -> None:
    for path in (firm.settings.governance / "derived_metrics").iterdir():
        path.unlink()
    read_governance_anew()
    keys = build_defs().resolve_asset_graph().get_all_asset_keys()
    assert not {key for key in keys if key.path[0] == "derived"}
    assert govern().success


def test_metrics_that_derive_from_each_other_do_not_keep_the_definitions_from_loading(firm: SmallFirm) -> None:
    write_model(firm, PEAK, LASTING_SQL.replace(PEAK, LASTING).replace("/", "*"))
    result = govern()
    assert result.success
    assert {metadata(result, key)["decision"] for key in (PEAK_KEY, LASTING_KEY)} == {"blocked"}


def test_two_metrics_that_would_share_an_asset_are_refused_when_definitions_load(firm: SmallFirm) -> None:
    definitions = firm.settings.governance / "standard" / "metric_definitions" / "of_tests.yaml"
    definitions.write_text(definitions.read_text().replace("metric: app.response.load", "metric: app.response_peak"))
    write_model(firm, "app.response_peak", PEAK_SQL)
    read_governance_anew()
    with pytest.raises(GovernanceError, match="rename one of the two"):
        build_defs()
