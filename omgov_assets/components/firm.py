"""What every definition of a firm needs: its control information and its partitions, read once per process.

Belongs here: reading and caching. Does not belong here: assets.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path

import dagster as dg

from omgov_assets.data_lake.settings import Settings
from omgov_assets.model_management.governance import Governance, load_firm, load_governance
from omgov_assets.quality_policy.policies import PolicySet, check_suite_files, load_policy_set

# All steps that write to the lake share this pool, so that the night and a sensor's run do not collide.
LAKE_POOL = "lake_write"


@lru_cache(maxsize=4)
def governance_of(project: Path) -> Governance:
    """Control information of a project; raises ``GovernanceError``."""
    governance = load_governance(project)
    check_suite_files(project, {system.name: system.datasets for system in governance.systems.values()})
    return governance


def current_governance() -> Governance:
    """Control information of the project that ``OMGOV_PROJECT`` names."""
    return governance_of(Settings.from_environment().project)


@lru_cache(maxsize=512)
def policy_set_of(project: Path, system: str, dataset: str) -> PolicySet:
    """Policies of a dataset of a project."""
    return load_policy_set(project, system, dataset)


@lru_cache(maxsize=4)
def _partitions(first_day: date, timezone: str) -> dg.DailyPartitionsDefinition:
    return dg.DailyPartitionsDefinition(start_date=first_day.isoformat(), timezone=timezone)


def daily_partitions() -> dg.DailyPartitionsDefinition:
    """The one partitions definition of the whole graph: business days from the firm's first day."""
    firm = load_firm(Settings.from_environment().project)
    return _partitions(firm.first_day, firm.timezone)


def day_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> date:
    """The business day that a step works on."""
    return date.fromisoformat(context.partition_key)
