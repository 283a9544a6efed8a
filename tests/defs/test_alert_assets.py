"""Alerts in Dagster: no sink fails the asset that tells of a night; sensors lose nothing and say nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_firm import DAY, SmallFirm

from omgov_assets.anomaly_alert.delivery import DeliveryError
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.raising import known_alerts
from omgov_assets.anomaly_alert.transports import Transports
from omgov_assets.components.firm import daily_partitions
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.defs import alerts as alerts_module
from omgov_assets.defs.alerts import build_alert_sensors, build_digests

ROUTES = """
route: {receiver: office, group_by: [alertname, day], group_wait: 0s}
receivers: [{name: office, apprise_url_env: [OFFICE_URL]}]
"""
QUIET: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture
def told_firm(firm: SmallFirm, monkeypatch: pytest.MonkeyPatch) -> SmallFirm:
    """A small firm with an office that can be told, if somebody says where it is."""
    (firm.settings.project / "governance" / "alert_routes.yaml").write_text(ROUTES, encoding="utf-8")
    monkeypatch.delenv("OFFICE_URL", raising=False)
    return firm


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A real instance with SQLite files, as a home has it."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def names(firm: SmallFirm) -> list[str]:
    with Outbox(firm.settings.outbox) as outbox:
        return sorted(alert.name for message in outbox.messages() for alert in message.alerts)


def tell(firm: SmallFirm) -> dg.ExecuteInProcessResult:
    report = dg.AssetSpec(["quality", "governance_report"], partitions_def=daily_partitions())
    definitions = dg.Definitions(
        assets=[report, *build_digests(firm.governance)],
        jobs=[dg.define_asset_job("tell", selection=dg.AssetSelection.assets(["alerts", "digests"]))],
        resources={"lake": LakeResource()},
    )  # fmt: skip
    return definitions.resolve_job_def("tell").execute_in_process(partition_key=DAY.isoformat(), run_config=QUIET)


def test_a_night_tells_its_office_and_an_unreachable_office_fails_nothing(told_firm: SmallFirm) -> None:
    result = tell(told_firm)
    assert result.success
    assert names(told_firm) == ["heartbeat"]
    (materialization,) = result.asset_materializations_for_node("alerts__digests")
    said = {
        name: value.value for name, value in materialization.metadata.items() if name in {"messages", "failed", "sent"}
    }
    assert said == {"messages": 1, "failed": 1, "sent": 0}
    (check,) = result.get_asset_check_evaluations()
    assert (check.check_name, check.passed, check.severity) == ("delivered", False, dg.AssetCheckSeverity.WARN)
    assert "OFFICE_URL is not set" in str(check.description)
    tell(told_firm)
    assert names(told_firm) == ["heartbeat"], "the night run again tells nothing twice"


def test_a_transport_that_breaks_fails_nothing(told_firm: SmallFirm, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Transports, "send", broken)
    assert tell(told_firm).success
    assert names(told_firm) == ["heartbeat"]


def sensor(firm: SmallFirm, name: str) -> dg.SensorDefinition:
    return next(each for each in build_alert_sensors(firm.governance) if each.name == name)


def tick(
    firm: SmallFirm, name: str, instance: dg.DagsterInstance, cursor: str | None
) -> tuple[str | None, dg.SensorResult | dg.SkipReason]:
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        result = sensor(firm, name)(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return (result.cursor if isinstance(result, dg.SensorResult) else cursor), result


def fail_a_run(instance: dg.DagsterInstance, day: date = DAY) -> str:
    @dg.asset(partitions_def=daily_partitions())
    def breaks() -> None:
        raise RuntimeError("the phone of 王芳 is 13800000001")

    job = dg.Definitions(assets=[breaks], jobs=[dg.define_asset_job("nightly_governance")]).resolve_job_def(
        "nightly_governance"
    )
    done = job.execute_in_process(
        instance=instance, partition_key=day.isoformat(), raise_on_error=False, run_config=QUIET
    )
    assert not done.success
    return done.run_id


def test_a_failed_run_is_told_once_with_its_day_and_step_and_without_its_error(
    told_firm: SmallFirm, instance: dg.DagsterInstance
) -> None:
    run_id = fail_a_run(instance)
    cursor, _ = tick(told_firm, "alert_run_failures", instance, None)
    assert cursor is not None
    with Outbox(told_firm.settings.outbox) as outbox:
        (alert,) = known_alerts(outbox, "failed_run")
    assert (alert.labels["run_id"], alert.labels["day"]) == (run_id, DAY.isoformat())
    assert "in step breaks" in alert.text("summary", "en")
    assert "1380" not in alert.model_dump_json()
    again, result = tick(told_firm, "alert_run_failures", instance, cursor)
    assert (again, isinstance(result, dg.SkipReason)) == (cursor, True)
    # The process died after the outbox had the alert and before Dagster had the cursor.
    tick(told_firm, "alert_run_failures", instance, None)
    assert names(told_firm) == ["failed_run"]
    second = fail_a_run(instance)
    tick(told_firm, "alert_run_failures", instance, cursor)
    with Outbox(told_firm.settings.outbox) as outbox:
        assert {alert.labels["run_id"] for alert in known_alerts(outbox, "failed_run")} == {run_id, second}


def test_a_cursor_does_not_move_where_the_outbox_cannot_be_written(
    told_firm: SmallFirm, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_a_run(instance)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(alerts_module, "raise_alerts", full)
        with pytest.raises(OSError, match="no space left"):
            tick(told_firm, "alert_run_failures", instance, None)
    assert names(told_firm) == []
    tick(told_firm, "alert_run_failures", instance, None)
    assert names(told_firm) == ["failed_run"]


def evaluate(instance: dg.DagsterInstance, **verdicts: dict[str, Any]) -> None:
    """Run checks that come out as told, on an asset of a business system."""
    key = dg.AssetKey(["cmdb", "owners"])
    specs = [dg.AssetCheckSpec(name, asset=key, blocking=True) for name in verdicts]

    @dg.multi_asset_check(specs=specs)
    def checks() -> Iterator[dg.AssetCheckResult]:
        for name, verdict in verdicts.items():
            yield dg.AssetCheckResult(asset_key=key, check_name=name, **verdict)

    job = dg.Definitions(
        assets=[dg.AssetSpec(key)], asset_checks=[checks],
        jobs=[dg.define_asset_job("check", selection=dg.AssetSelection.all_asset_checks())],
    ).resolve_job_def("check")  # fmt: skip
    job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)


def test_checks_that_could_not_judge_are_told_and_those_that_fail_on_bad_data_are_not(
    told_firm: SmallFirm, instance: dg.DagsterInstance
) -> None:
    warn = dg.AssetCheckSeverity.WARN
    day = {"day": DAY.isoformat()}
    evaluate(
        instance,
        accuracy={"passed": True, "metadata": day},
        completeness={"passed": False, "severity": warn, "metadata": {**day, "errors": 0, "not_evaluated": 0}},
        consistency={"passed": False, "severity": warn, "metadata": {**day, "errors": 0, "not_evaluated": 2}},
        uniqueness={"passed": False, "severity": dg.AssetCheckSeverity.ERROR, "metadata": day},
    )
    cursor, _ = tick(told_firm, "alert_check_failures", instance, None)
    with Outbox(told_firm.settings.outbox) as outbox:
        found = known_alerts(outbox, "blocking_check")
    assert sorted(alert.labels["check"] for alert in found) == ["consistency", "uniqueness"]
    assert {(alert.labels["system"], alert.labels["dataset"], alert.labels["day"]) for alert in found} == {
        ("cmdb", "owners", DAY.isoformat())
    }
    _, result = tick(told_firm, "alert_check_failures", instance, cursor)
    assert isinstance(result, dg.SkipReason)
    # Of two runs between two looks, each is looked at.
    for check in ("coverage", "timeliness"):
        evaluate(instance, **{check: {"passed": False, "severity": warn, "metadata": {**day, "errors": 1}}})
    tick(told_firm, "alert_check_failures", instance, cursor)
    with Outbox(told_firm.settings.outbox) as outbox:
        checks = {alert.labels["check"] for alert in known_alerts(outbox, "blocking_check")}
    assert checks == {"consistency", "uniqueness", "coverage", "timeliness"}


def test_a_broken_audit_is_told_at_once(told_firm: SmallFirm, instance: dg.DagsterInstance) -> None:
    error = dg.AssetCheckSeverity.ERROR
    evaluate(instance, audit_is_whole={"passed": False, "severity": error, "metadata": {"findings": 3}})
    cursor, _ = tick(told_firm, "alert_check_failures", instance, None)
    with Outbox(told_firm.settings.outbox) as outbox:
        (alert,) = known_alerts(outbox, "broken_audit")
    assert alert.labels["severity"] == "critical"
    assert "3 findings" in alert.annotations["summary_en"]
    evaluate(instance, audit_is_whole={"passed": True, "severity": error})
    tick(told_firm, "alert_check_failures", instance, cursor)
    assert names(told_firm) == ["broken_audit"]


def test_the_delivery_sensor_sends_what_is_due_and_notices_that_a_night_is_missing(
    told_firm: SmallFirm, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    def send(_self: Transports, message: Any) -> None:
        if not sent:
            sent.append("refused")
            raise DeliveryError("not now")
        sent.append(message.key)

    monkeypatch.setattr(Transports, "send", send)
    _, first = tick(told_firm, "alert_delivery", instance, None)
    assert isinstance(first, dg.SkipReason)
    assert "0 messages sent, 1 failed and wait" in str(first.skip_message)
    assert names(told_firm) == ["unfinished_night"]
    with Outbox(told_firm.settings.outbox) as outbox:
        outbox.con.execute("UPDATE messages SET next_attempt = created_at")
    _, second = tick(told_firm, "alert_delivery", instance, None)
    assert isinstance(second, dg.SkipReason)
    assert "1 messages sent" in str(second.skip_message)
