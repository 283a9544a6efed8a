"""Alerts in Dagster: the night's digests as an asset, and sensors that notice what no asset can tell of itself."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg

from omgov_assets.anomaly_alert.addresses import addresses_in_cmdb
from omgov_assets.anomaly_alert.alerts import Alert
from omgov_assets.anomaly_alert.delivery import Delivered, deliver_due
from omgov_assets.anomaly_alert.digests import DIGESTS
from omgov_assets.anomaly_alert.immediate import blocking_check, broken_audit, failed_run, missed_deadline
from omgov_assets.anomaly_alert.night import NightAlerts, tell_of_night
from omgov_assets.anomaly_alert.outbox import Outbox
from omgov_assets.anomaly_alert.raising import Raised, raise_alerts
from omgov_assets.anomaly_alert.transports import Transports
from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.defs.access import WHOLE
from omgov_assets.model_management.governance import Governance

KEY = dg.AssetKey(DIGESTS.split("/"))
GROUP = "alerts"
DELIVERED = "delivered"

# A night does not wait for a mail server; the sensor sends what is left.
NIGHT_BUDGET_S = 20.0
# Below Dagster's own limit of a minute for a sensor.
SENSOR_BUDGET_S = 40.0
RUNS_AT_A_TIME = 50
MOST_CHECKS = 5_000
# What failed before the sensor was first switched on is history, but for the last day.
LOOKS_BACK = timedelta(days=1)

ENDS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)
_PARTITION_TAG = "dagster/partition"


def build_digests(governance: Governance) -> list[dg.AssetsDefinition]:
    """The asset ``alerts/digests``, and the check ``delivered`` on it."""

    @dg.asset(
        key=KEY,
        metadata=platform_columns(DIGESTS),
        deps=[dg.AssetKey(["exceptions", "cases"]), dg.AssetKey(["quality", "governance_report"])],
        group_name=GROUP,
        kinds={"deltalake", "duckdb"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def digests(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """What each owner, support group and the governance office is told of the night.

        One message each, in the outbox before anybody tries to send it. What cannot be delivered fails nothing.
        """
        settings = lake.settings
        with Outbox(settings.outbox) as outbox:
            now = datetime.now(UTC)
            night, raised = tell_of_night(lake.lake, governance, settings.report, outbox, day_of(context), now)
            delivered = send_due(outbox, lake.lake, governance, NIGHT_BUDGET_S)
        return dg.MaterializeResult(metadata=_metadata(night, raised, delivered))

    @dg.asset_check(
        asset=KEY,
        name=DELIVERED,
        partitions_def=daily_partitions(),
        description="No message is a dead letter, and none waits after a failed attempt.",
    )
    def delivered(lake: LakeResource) -> dg.AssetCheckResult:
        with Outbox(lake.settings.outbox) as outbox:
            return _delivered(outbox)

    return [digests, delivered]


def build_alert_sensors(governance: Governance) -> list[dg.SensorDefinition]:
    """``alert_run_failures``, ``alert_check_failures`` and ``alert_delivery``.

    A cursor advances only after the alerts are in the outbox; what is read twice is the same alert.
    """

    @dg.sensor(
        name="alert_run_failures",
        minimum_interval_seconds=30,
        description="Tells of runs that failed, whatever they ran.",
    )
    def run_failures(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        ended = _ended_runs(context, [dg.DagsterEventType.RUN_FAILURE])
        alerts = [_of_failure(context.instance, record, governance) for record in ended.records]
        return _raised(alerts, governance, ended)

    @dg.sensor(
        name="alert_check_failures",
        minimum_interval_seconds=30,
        description="Tells of blocking checks that could not judge or that keep downstream from running, and of a "
        "broken record of access decisions.",
    )
    def check_failures(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        ended = _ended_runs(context, ENDS)
        alerts = [
            alert
            for record in ended.records
            for evaluation in context.instance.get_records_for_run(
                record.event_log_entry.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION, limit=MOST_CHECKS
            ).records
            for alert in _of_check(evaluation)
        ]
        return _raised(alerts, governance, ended)

    @dg.sensor(
        name="alert_delivery",
        minimum_interval_seconds=60,
        description="Sends what is due, says again what still holds, and tells of a night that missed its deadline.",
    )
    def delivery(_context: dg.SensorEvaluationContext) -> dg.SkipReason:
        settings, now, firm = Settings.from_environment(), datetime.now(UTC), governance.firm
        with Outbox(settings.outbox) as outbox:
            late = missed_deadline(outbox, governance.alerts, firm.zone, firm.first_day, now)
            raise_alerts(outbox, late, governance.alerts, now)
            lake = Lake(settings.lake, settings.dataset_contracts)
            done = send_due(outbox, lake, governance, SENSOR_BUDGET_S)
        return dg.SkipReason(f"{done.sent} messages sent, {done.failed} failed and wait, {done.dead} are dead letters")

    return [run_failures, check_failures, delivery]


def send_due(outbox: Outbox, lake: Lake, governance: Governance, budget_s: float | None = None) -> Delivered:
    """Send what is due by the firm's transports; nothing that a sink does raises."""
    transports = Transports(os.environ, addresses_in_cmdb(lake))
    return deliver_due(outbox, transports.send, governance.alerts.delivery, partial(datetime.now, UTC), budget_s)


@dataclass(frozen=True)
class _EndedRuns:
    """Runs that ended since a cursor, and the cursor behind them."""

    records: list[dg.EventLogRecord]
    cursor: str


def _ended_runs(context: dg.SensorEvaluationContext, ends: Sequence[dg.DagsterEventType]) -> _EndedRuns:
    """Runs that ended in one of these ways. SQLite numbers events by run, but the ends of runs across all of them."""
    behind: dict[str, int] = json.loads(context.cursor) if context.cursor else {}
    found: list[dg.EventLogRecord] = []
    for end in ends:
        after = behind.get(end.value)
        since = None if after is not None else (datetime.now(UTC) - LOOKS_BACK).timestamp()
        changes = context.instance.fetch_run_status_changes(
            dg.RunStatusChangeRecordsFilter(end, after_storage_id=after, after_timestamp=since),  # type: ignore[arg-type]
            limit=RUNS_AT_A_TIME,
            ascending=True,
        )
        if changes.records:
            behind[end.value] = changes.records[-1].storage_id
            found += changes.records
    return _EndedRuns(found, json.dumps(behind, sort_keys=True))


def _raised(alerts: Sequence[Alert], governance: Governance, ended: _EndedRuns) -> dg.SensorResult | dg.SkipReason:
    """Put alerts into the outbox, then let the cursor move behind the runs they came from."""
    if not ended.records:
        return dg.SkipReason("no run ended since")
    if alerts:
        with Outbox(Settings.from_environment().outbox) as outbox:
            raise_alerts(outbox, alerts, governance.alerts, datetime.now(UTC))
    told = f"{len(alerts)} alerts of {len(ended.records)} runs"
    return dg.SensorResult(skip_reason=dg.SkipReason(told), cursor=ended.cursor)


def _of_failure(instance: dg.DagsterInstance, record: dg.EventLogRecord, governance: Governance) -> Alert:
    entry = record.event_log_entry
    run = instance.get_run_by_id(entry.run_id)
    tags = run.tags if run else {}
    failed = instance.get_run_stats(entry.run_id) if run else None
    step = _failed_step(instance, entry.run_id) if failed and failed.steps_failed else None
    happened = datetime.fromtimestamp(record.timestamp, governance.firm.zone).date()
    day = _day_in(tags.get(_PARTITION_TAG)) or happened
    return failed_run(entry.job_name or "unknown", entry.run_id, day, step, happened)


def _failed_step(instance: dg.DagsterInstance, run_id: str) -> str | None:
    failures = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE, limit=1).records
    event = failures[0].event_log_entry.dagster_event if failures else None
    return event.step_key if event else None


def _of_check(record: dg.EventLogRecord) -> list[Alert]:
    """The alert for a check that gave no verdict or blocks; none for one that passes or fails on bad data."""
    event = record.event_log_entry.dagster_event
    if event is None:
        return []
    evaluation = event.asset_check_evaluation_data
    numbers = {name: _number(evaluation.metadata.get(name)) for name in ("errors", "not_evaluated")}
    blocks = evaluation.severity is dg.AssetCheckSeverity.ERROR and evaluation.blocking
    is_audit = evaluation.check_name == WHOLE
    if evaluation.passed or not (blocks or is_audit or any(numbers.values())):
        return []
    said = evaluation.metadata.get("day")
    day = _day_in(evaluation.partition) or _day_in(str(said.value) if said else None)
    day = day or datetime.fromtimestamp(record.timestamp, UTC).date()
    if is_audit:
        return [broken_audit(day, _number(evaluation.metadata.get("findings")))]
    path = evaluation.asset_key.path
    return [blocking_check(day, path[0], "/".join(path[1:]) or path[0], evaluation.check_name, **numbers)]


def _number(value: dg.MetadataValue[Any] | None) -> int:
    return value.value if value is not None and isinstance(value.value, int) else 0


def _day_in(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None  # a partition of another kind than a day


def _delivered(outbox: Outbox) -> dg.AssetCheckResult:
    counts = outbox.counts()
    waiting = [message for message in outbox.messages(["pending"]) if message.last_error]
    errors = sorted({message.last_error for message in waiting if message.last_error})
    stuck = counts["dead"] + len(waiting)
    return dg.AssetCheckResult(
        passed=not stuck,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counts['dead']} dead letters, {len(waiting)} wait after a failure"
        + (f": {errors[0]}" if errors else "")
        if stuck
        else "every message arrived or is not due yet",
        metadata={
            **counts,
            "waiting_after_failure": len(waiting),
            "recovery": dg.MetadataValue.md(
                "- `omgov alerts outbox --state dead` shows what did not arrive and why\n"
                "- `omgov alerts test` tries every receiver\n"
                "- `omgov alerts outbox --revive --send` tries again"
            ),
        },
    )


def _metadata(night: NightAlerts, raised: Raised, delivered: Delivered) -> dict[str, Any]:
    digests = night.digests
    return {
        "dagster/row_count": len(digests.rows),
        "digests": len(digests.told),
        "recipients_in_wider_digests": len(digests.rows) - len(digests.told),
        "anomalies": digests.anomalies,
        "alerts": raised.alerts,
        "resolved": raised.resolved,
        "messages": raised.messages,
        "silenced": raised.silenced,
        "inhibited": raised.inhibited,
        "sent": delivered.sent,
        "failed": delivered.failed,
    }
