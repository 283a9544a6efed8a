"""Jobs, the nightly schedule and the landing sensor."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import delivered_files
from omgov_assets.model_management.governance import Governance

NIGHTLY = "nightly_governance"
INVENTORY = "inventory_governance"

# A file that was written to this recently may still grow.
STABLE_S = 30


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
            selection=dg.AssetSelection.groups("quality") | checks,
            description="Checks and analysis of what is in the lake; nothing is collected.",
            executor_def=dg.in_process_executor,
        ),
    ]


def build_schedule(governance: Governance, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """The nightly run of the day that has just ended."""
    zone = ZoneInfo(governance.firm.timezone)

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
    """Starts a day's governance when files of a day that was governed already have landed or changed since."""

    @dg.sensor(
        name="landing",
        job=job,
        minimum_interval_seconds=60,
        description="Late or corrected deliveries: governs their day again.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        state = landing_state(Settings.from_environment(), governance, datetime.now().timestamp() - STABLE_S)
        seen = dict(line.split("=", 1) for line in (context.cursor or "").splitlines())
        today = datetime.now(ZoneInfo(governance.firm.timezone)).date()
        changed = [
            day for day, mark in sorted(state.items()) if seen.get(day) != mark and date.fromisoformat(day) < today
        ]
        requests = [dg.RunRequest(run_key=f"landing:{day}:{state[day]}", partition_key=day) for day in changed]
        seen |= {day: state[day] for day in changed}
        return dg.SensorResult(
            run_requests=requests, cursor="\n".join(f"{day}={mark}" for day, mark in sorted(seen.items()))
        )

    return landing


def landing_state(settings: Settings, governance: Governance, stable_before: float) -> dict[str, str]:
    """A mark per business day that changes when its deliveries do.

    Args:
        settings: where the landing folder is.
        governance: systems and datasets.
        stable_before: POSIX time; a day with a file modified later is left out, since the file may still grow.

    Returns:
        Day (ISO) to a text of number of files and latest modification.
    """
    days: dict[str, tuple[int, float]] = {}
    for system in governance.systems.values():
        for name in system.datasets:
            root = settings.landing / system.name / name
            for folder in sorted(root.iterdir()) if root.is_dir() else []:
                try:
                    day = date.fromisoformat(folder.name)
                except ValueError:
                    continue
                if day < governance.firm.first_day:
                    continue
                for path in delivered_files(folder):
                    count, latest = days.get(folder.name, (0, 0.0))
                    days[folder.name] = (count + 1, max(latest, path.stat().st_mtime))
    return {day: f"{count}:{latest:.6f}" for day, (count, latest) in days.items() if latest <= stable_before}
