"""The definitions that Dagster loads: the firm's business systems and what every firm has downstream of them."""

import warnings
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import dagster as dg

from omgov_assets.components.firm import current_governance
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.data_lake.settings import Settings
from omgov_assets.defs.access import build_audit_access
from omgov_assets.defs.alerts import build_alert_sensors, build_digests
from omgov_assets.defs.compliance import build_compliance
from omgov_assets.defs.control import build_control_information
from omgov_assets.defs.derived import build_derived_metrics
from omgov_assets.defs.dynamic_baselines import build_dynamic_baselines
from omgov_assets.defs.exceptions import build_cases
from omgov_assets.defs.jobs import build_jobs, build_landing_sensor, build_schedule
from omgov_assets.defs.model_checks import build_model_checks
from omgov_assets.defs.quality import build_quality_assets
from omgov_assets.defs.replays import build_replay_job

# Partitioned checks are a preview of Dagster and code references a beta; a characterisation test pins what we lean on.
# Without this, every load prints a screen of warnings to people who can do nothing about them.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All definitions of the project that ``OMGOV_PROJECT`` names.

    Args:
        resource_overrides: resources that take the place of the real ones, for tests.

    Raises:
        GovernanceError: a fault in ``governance/`` or ``expectations/``, naming file, key and remedy.
    """
    governance = current_governance()
    systems = _business_systems()
    jobs = build_jobs()
    own = dg.Definitions(
        assets=[
            build_control_information(),
            build_model_checks(governance),
            *build_derived_metrics(governance),
            *build_dynamic_baselines(governance),
            *build_quality_assets(governance),
            build_cases(governance),
            build_audit_access(),
            build_compliance(governance),
            *build_digests(governance),
        ],
        jobs=[*jobs, build_replay_job()],
        schedules=[build_schedule(governance, jobs[0])],
        sensors=[build_landing_sensor(governance, jobs[0]), *build_alert_sensors(governance)],
        resources={"lake": LakeResource(), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(systems, own)


def _business_systems() -> dg.Definitions:
    """The components under ``governance/systems/``, which lies outside the package: a namespace made for it."""
    settings = Settings.from_environment()
    folder = settings.governance / "systems"
    module = ModuleType("governance_systems")
    module.__file__ = None
    module.__path__ = [str(folder)]
    return dg.ComponentTree.from_module(module, project_root=settings.project).build_defs()


@dg.definitions
def defs() -> dg.Definitions:
    """Entry point of ``dagster dev``, ``dg dev`` and the workspace."""
    return build_defs()
