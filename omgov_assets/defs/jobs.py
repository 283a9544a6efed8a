"""Jobs, the nightly schedule and the landing sensor."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.landing_watch import look
from omgov_assets.model_management.governance import Governance

NIGHTLY = "nightly_governance"
INVENTORY = "inventory_governance"


def build_jobs() -> list[UnresolvedAssetJobDefinition]:
    """``nightly_governance``: everything of a day. ``inventory_governance``: checks and downstream on what is in the
    lake.
    """
    checks = dg.AssetSelection.all_asset_checks()
    return [
        dg.define_asset_job(
            NIGHTLY,
            selection=dg.AssetSelection.all() | checks,
            description="One night of governance of the whole firm: collect, admit, check, analyse, report.",
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            INVENTORY,
            selection=dg.AssetSelection.groups("quality", "exceptions") | checks,
            description="Checks and analysis of what is in the lake; nothing is collected.",
            executor_def=dg.in_process_executor,
        ),
    ]


def build_schedule(governance: Governance, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The nightly run of the day that has just ended."""
    zone = governance.firm.zone

    @dg.schedule(
        name="nightly",
        job=job,
        cron_schedule=governance.firm.nightly_cron,
        execution_timezone=governance.firm.timezone,
        description="Governs yesterday, every night.",
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        yesterday = (context.scheduled_execution_time.astimezone(zone) - timedelta(days=1)).date().isoformat()
        return dg.RunRequest(run_key=f"{NIGHTLY}:{yesterday}", partition_key=yesterday)

    return nightly


def build_landing_sensor(governance: Governance, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """Starts a day's governance when files of a past day have landed or changed since it was governed."""

    @dg.sensor(
        name="landing",
        job=job,
        minimum_interval_seconds=60,
        description="Late or corrected deliveries: governs their day again, once for all files that came together.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        settings = Settings.from_environment()
        lake = Lake(settings.lake, settings.dataset_contracts)
        found = look(settings, lake, governance, datetime.now(UTC), context.cursor)
        requests = [
            dg.RunRequest(run_key=f"landing:{day}:{mark}", partition_key=day.isoformat())
            for day, mark in found.due.items()
        ]
        return dg.SensorResult(run_requests=requests, cursor=found.cursor)

    return landing
