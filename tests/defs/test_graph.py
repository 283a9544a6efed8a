"""The asset graph of a firm: what there is, in which order it runs, and what people see on bad days."""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from deriving_firm import firm_at
from firm_at_work import work_on, work_on_copy
from small_firm import DAY, SYSTEM, SmallFirm, build_small_firm, instance

from omgov_assets.components.firm import governance_of
from omgov_assets.definitions import build_defs
from omgov_assets.defs.jobs import INVENTORY, NIGHTLY
from omgov_assets.defs.replays import REPLAY

CHECKED = {
    "alerts/digests": ["delivered"],
    "audit/access": ["audit_is_whole"],
    f"{SYSTEM}/metric_instances": [
        "accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness",
    ],
    f"{SYSTEM}/metric_definitions": ["completeness", "conformity", "consistency", "coverage", "uniqueness"],
    "cmdb/ci_relations": ["conformity", "consistency", "uniqueness"],
    "cmdb/configuration_items": ["completeness", "consistency", "coverage", "uniqueness"],
    "control/data_contracts": ["consistency"],
    "control/processing_models": ["conformity"],
    "control/quality_policies": ["conformity"],
    "exceptions/cases": ["overdue", "owner_inactive", "unrouted", "waiver_expiring"],
    "quality/compliance": ["clauses_hold"],
}  # fmt: skip


def govern(job: str = NIGHTLY, day: date = DAY) -> dg.ExecuteInProcessResult:
    return (
        build_defs()
        .resolve_job_def(job)
        .execute_in_process(
            partition_key=day.isoformat(),
            raise_on_error=True,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    )


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {
        f"{evaluation.asset_key.to_user_string()}:{evaluation.check_name}": evaluation.passed
        for evaluation in result.get_asset_check_evaluations()
    }


@pytest.fixture(scope="module")
def sound_night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dg.ExecuteInProcessResult]:
    """The folder of a firm after a night without defects, and what came of that night; tests leave both as they are."""
    root = tmp_path_factory.mktemp("sound")
    built = build_small_firm(root)
    built.deliver_all()
    with pytest.MonkeyPatch.context() as monkeypatch:
        work_on(built, monkeypatch)
        return root, govern()


@pytest.fixture
def governed(
    sound_night: tuple[Path, dg.ExecuteInProcessResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SmallFirm:
    """The firm after a night without defects, to go on with."""
    return work_on_copy(sound_night[0], tmp_path / "copy", monkeypatch)


def test_assets_checks_jobs_schedules_and_sensors_bear_the_names_that_people_know(firm: SmallFirm) -> None:
    definitions = build_defs()
    keys = sorted(key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys())
    assert keys == [
        "alerts/digests",
        "audit/access",
        f"{SYSTEM}/metric_definitions",
        f"{SYSTEM}/metric_instances",
        "cmdb/ci_relations",
        "cmdb/configuration_items",
        "cmdb/owners",
        "cmdb/support_groups",
        "control/baseline_metrics",
        "control/data_contracts",
        "control/documents",
        "control/metric_mappings",
        "control/processing_models",
        "control/quality_policies",
        "control/standard_metrics",
        "exceptions/case_events",
        "exceptions/case_members",
        "exceptions/cases",
        "quality/anomalies",
        "quality/anomaly_causes",
        "quality/anomaly_rankings",
        "quality/anomaly_statistics",
        "quality/check_results",
        "quality/compliance",
        "quality/governance_report",
        "quality/root_causes",
        "quality/scorecards",
        "quality/violations",
    ]
    checks = definitions.resolve_asset_graph().asset_check_keys
    found: dict[str, list[str]] = {}
    for key in sorted(checks, key=lambda key: (key.asset_key.to_user_string(), key.name)):
        found.setdefault(key.asset_key.to_user_string(), []).append(key.name)
    assert found == CHECKED
    assert {job.name for job in definitions.resolve_all_job_defs()} >= {NIGHTLY, INVENTORY, REPLAY}
    assert definitions.resolve_schedule_def("nightly").cron_schedule == "0 2 * * *"
    assert definitions.resolve_schedule_def("nightly").execution_timezone == "Asia/Shanghai"
    assert definitions.resolve_sensor_def("landing").job_name == NIGHTLY
    sensors = {sensor.name for sensor in definitions.sensors or ()}
    assert sensors == {"landing", "alert_run_failures", "alert_check_failures", "alert_delivery"}


def test_a_sound_day_passes_every_check_and_has_no_anomaly(
    sound_night: tuple[Path, dg.ExecuteInProcessResult],
) -> None:
    root, result = sound_night
    assert all(verdicts(result).values())
    assert firm_at(root).lake.days("quality/anomalies") == []


def test_bad_rows_fail_their_dimension_alone_and_downstream_still_runs(firm: SmallFirm) -> None:
    firm.deliver_all(instances=[instance(ci="H1"), instance(ci="H404")])
    result = govern()
    failed = [name for name, passed in verdicts(result).items() if not passed]
    assert failed == [f"{SYSTEM}/metric_instances:consistency"]
    (evaluation,) = [e for e in result.get_asset_check_evaluations() if not e.passed]
    table = evaluation.metadata["policies"].records
    row = next(record.data for record in table if record.data["anomaly_type"] == "unknown_ci")
    assert (row["verdict"], row["evaluated"], row["failed"]) == ("failed", 2, 1)
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert result.success
    with firm.lake.connect() as con:
        firm.lake.register(con, "anomalies", "quality/anomalies", DAY)
        assert con.execute("SELECT anomaly_type, ci_id FROM anomalies").fetchall() == [("unknown_ci", "H404")]


def test_a_refused_batch_is_not_evaluated_and_the_night_goes_on_for_everything_else(firm: SmallFirm) -> None:
    firm.deliver_all()
    firm.deliver("cmdb", "owners", "owner_id,name,active\nO1,王芳,tr")
    result = govern()
    assert result.success
    materialization = next(
        m for m in result.asset_materializations_for_node("cmdb_deliveries") if m.asset_key.path[-1] == "owners"
    )
    assert "does not end with a line end" in str(materialization.metadata["refused_because"].value)
    seen = verdicts(result)
    assert not seen[f"{SYSTEM}/metric_instances:consistency"]
    assert seen[f"{SYSTEM}/metric_instances:timeliness"]
    evaluation = next(
        e
        for e in result.get_asset_check_evaluations()
        if e.asset_key.path[-1] == "metric_instances" and e.check_name == "consistency"
    )
    assert evaluation.metadata["not_evaluated"].value == 1
    assert "cmdb/owners holds nothing for 2026-11-20" in str(evaluation.description)


def test_inventory_governance_checks_what_is_in_the_lake_and_collects_nothing(governed: SmallFirm) -> None:
    governed.deliver(SYSTEM, "metric_instances", [instance(ci="H404")], name="late.csv")
    result = govern(INVENTORY)
    assert all(verdicts(result).values())
    assert not any(node.name.endswith("_deliveries") for node in result.job_def.nodes)


@pytest.mark.usefixtures("governed")
def test_one_dimension_of_one_dataset_can_be_checked_alone() -> None:
    key = dg.AssetCheckKey(dg.AssetKey([SYSTEM, "metric_instances"]), "timeliness")
    # As the UI does it: a subset of the job of all assets.
    everything = build_defs().resolve_implicit_global_asset_job_def()
    alone = everything.get_subset(asset_selection=set(), asset_check_selection={key})
    result = alone.execute_in_process(partition_key=DAY.isoformat())
    assert list(verdicts(result)) == [f"{SYSTEM}/metric_instances:timeliness"]
    changed = [event.asset_key for event in result.all_events if event.is_step_materialization]
    assert changed == [dg.AssetKey(["quality", "violations"])], "downstream is shown as out of date"


def test_a_night_closes_the_stream_of_violations_once(sound_night: tuple[Path, dg.ExecuteInProcessResult]) -> None:
    closed = [event for event in sound_night[1].all_events if event.is_step_materialization]
    assert [event.asset_key.path for event in closed].count(["quality", "violations"]) == 1


def test_the_nightly_schedule_governs_yesterday(firm: SmallFirm) -> None:
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime(2026, 11, 21, 2, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
    )
    request = build_defs().resolve_schedule_def("nightly")(context)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-11-20"


def test_the_landing_sensor_asks_once_for_a_day_whose_files_have_come_to_rest(firm: SmallFirm) -> None:
    sensor = build_defs().resolve_sensor_def("landing")
    path = firm.deliver(SYSTEM, "metric_definitions", [{"metric": "cpu", "unit": "%", "interval_s": 60}])

    def tick(cursor: str | None) -> dg.SensorResult:
        with dg.build_sensor_context(cursor=cursor) as context:
            result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        return result

    first = tick(None)
    assert first.run_requests == []  # just written: it may still grow
    os.utime(path, (path.stat().st_mtime - 3600,) * 2)
    second = tick(first.cursor)
    assert second.run_requests == []  # it has changed since the look before
    third = tick(second.cursor)
    assert [request.partition_key for request in third.run_requests or []] == ["2026-11-20"]
    assert tick(third.cursor).run_requests == []


def test_a_replay_is_launched_with_a_form_and_marks_its_day(firm: SmallFirm) -> None:
    firm.deliver_all(instances=[instance(ci="H1"), instance(ci="H2", interval_s=None), instance(ci=None)])
    contract = firm.system_folder / "metric_instances.odcs.yaml"
    text = contract.read_text()
    contract.write_text(text.replace("- name: interval_s\n", "- name: interval_s\n        required: true\n"))
    governance_of.cache_clear()
    govern()
    contract.write_text(text)
    governance_of.cache_clear()
    job = build_defs().resolve_job_def(REPLAY)
    form = {"system": SYSTEM, "dataset": "metric_instances"}
    result = job.execute_in_process({"ops": {"replay": {"config": form}}})
    [event] = result.asset_materializations_for_node("replay")
    assert (event.asset_key.path, event.partition) == ([SYSTEM, "metric_instances"], DAY.isoformat())
    assert (event.metadata["replayed"].value, event.metadata["admitted"].value) == (2, 1)
    assert len(firm.rows(f"{SYSTEM}/metric_instances")) == 2
    again = job.execute_in_process({"ops": {"replay": {"config": form}}})
    assert again.asset_materializations_for_node("replay") == []


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"system": "nobody", "dataset": "metric_instances"}, "nobody: no such business system"),
        ({"system": SYSTEM, "dataset": "weather"}, "not delivered by this system"),
        ({"system": SYSTEM, "dataset": "metric_instances", "day": "yesterday"}, "'yesterday' is not a day"),
    ],
)
def test_a_replay_of_what_is_not_there_says_what_there_is(firm: SmallFirm, form: dict[str, str], words: str) -> None:
    job = build_defs().resolve_job_def(REPLAY)
    with pytest.raises(dg.Failure, match=words):
        job.execute_in_process({"ops": {"replay": {"config": form}}})


def test_metadata_of_runs_shows_no_personal_data(firm: SmallFirm) -> None:
    firm.deliver_all(instances=[instance(ci="H1", last_seen="2026-11-20 01:00:00")])
    result = govern()
    shown = json.dumps([str(event) for event in result.all_events], ensure_ascii=False)
    assert "王芳" not in shown


@pytest.mark.parametrize("broken", ["governance/firm.yaml", "governance/systems/cmdb/defs.yaml"])
def test_a_fault_in_governance_names_file_key_and_remedy_when_definitions_load(firm: SmallFirm, broken: str) -> None:
    from omgov_assets.model_management.errors import GovernanceError

    path = firm.settings.project / broken
    path.write_text(path.read_text() + "  : [\n")
    with pytest.raises(GovernanceError, match=rf"{path.name}: line \d+.*correct the line"):
        build_defs()
