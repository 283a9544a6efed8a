"""Control information as assets: which standard, mappings and policies a day was judged by."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of, governance_of, policy_set_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.model_management.control import publish_metric_mappings, publish_standard_metrics
from omgov_assets.quality_policy.publication import publish_quality_policies


def build_control_information() -> dg.AssetsDefinition:
    """The multi-asset that publishes ``control/*``."""
    descriptions = {
        "standard_metrics": "The metric standard as published that day.",
        "metric_mappings": "The rules that map source metrics to the standard, as published that day.",
        "quality_policies": "The quality policies as published that day.",
    }

    @dg.multi_asset(
        name="control_information",
        specs=[
            dg.AssetSpec(["control", name], group_name="control", description=text, kinds={"deltalake", "yaml"})
            for name, text in descriptions.items()
        ],
        partitions_def=daily_partitions(),
        can_subset=True,
        pool=LAKE_POOL,
        description="Publishes governance/ and expectations/ of the project as tables of the day.",
    )
    def control_information(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any]]:
        day = day_of(context)
        project = lake.settings.project
        governance = governance_of(project)
        policy_sets = [
            policy_set_of(project, system.name, dataset)
            for system in governance.systems.values()
            for dataset in system.datasets
        ]
        publishers: dict[str, Callable[[], int]] = {
            "standard_metrics": lambda: publish_standard_metrics(lake.lake, governance, day),
            "metric_mappings": lambda: publish_metric_mappings(lake.lake, governance, day),
            "quality_policies": lambda: publish_quality_policies(lake.lake, policy_sets, day),
        }
        for name, publish in publishers.items():
            key = dg.AssetKey(["control", name])
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": publish()})

    return control_information
