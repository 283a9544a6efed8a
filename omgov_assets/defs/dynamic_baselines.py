"""Dynamic baselines as an asset: what each series' normal values are, learned from the day's samples."""

from typing import Any

import dagster as dg

from omgov_assets.components.business_system import dataset_key
from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of, governance_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.defs.quality import GROUP
from omgov_assets.model_management.governance import Governance
from omgov_assets.quality_policy.dynamic_baselines.learning import (
    DYNAMIC_BASELINES,
    SAMPLES,
    LearningSummary,
    learn_baselines,
)


def build_dynamic_baselines(governance: Governance) -> list[dg.AssetsDefinition]:
    """The asset of ``quality/dynamic_baselines``; nothing where no business system delivers samples.

    Checks of a day read the partition of a day before, so that nothing here waits for them nor they for it.
    """
    delivered = [
        dataset_key(system.name, SAMPLES) for system in governance.systems.values() if SAMPLES in system.datasets
    ]
    if not delivered:
        return []

    @dg.asset(
        key=DYNAMIC_BASELINES.split("/"),
        metadata=platform_columns(DYNAMIC_BASELINES),
        deps=delivered,
        group_name=GROUP,
        kinds={"deltalake", "duckdb"},
        partitions_def=daily_partitions(),
        pool=LAKE_POOL,
    )
    def dynamic_baselines(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult[Any]:
        """The band of normal values of each series, learned from samples, in force from the day after."""
        current = governance_of(lake.settings.project)
        return dg.MaterializeResult(metadata=_metadata(learn_baselines(lake.lake, current, day_of(context))))

    return [dynamic_baselines]


def _metadata(summary: LearningSummary) -> dict[str, Any]:
    return {
        "dagster/row_count": summary.rows,
        "series_learned": summary.series,
        "series_known": summary.learned,
        "bands": summary.bands,
        "seasonal_bands": summary.seasonal,
        "new_levels": summary.new_levels,
        "cold_starts": summary.cold_starts,
        "delta_version": summary.version,
    }
