"""Derived metrics as assets: one for each derive model, computed after deliveries and their checks."""

import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

from omgov_assets.components.business_system import dataset_key
from omgov_assets.components.column_schema import dataset_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of, governance_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.data_lake.syntax import NotOneSelectError
from omgov_assets.data_management.derivation import DerivationResult, derivation_order, derive_metrics, model_reads
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.processing_models import DERIVED_SYSTEM, ProcessingModel

GROUP = "derived_metrics"

# What Dagster takes for an owner; a model with another one is at fault, but must not keep the graph from loading.
_ADDRESS = re.compile(r"[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9.-]+")
_MODELS_KEY = dg.AssetKey(["control", "processing_models"])


def build_derived_metrics(governance: Governance) -> list[dg.AssetsDefinition]:
    """The multi-asset of all derived metrics; nothing where the firm has no derive model.

    Raises:
        GovernanceError: two metrics whose names differ in dots and underscores alone.
    """
    if not governance.derived:
        return []
    order = derivation_order(governance)
    by_key = {derived_key(str(model.header.metric)): str(model.header.metric) for model in order}
    if len(by_key) < len(order):
        twice = next(model for model in order if by_key[derived_key(str(model.header.metric))] != model.header.metric)
        raise GovernanceError(
            twice.path, "header.metric", "another derived metric has the same words", "rename one of the two"
        )

    @dg.multi_asset(
        name="derived_metrics",
        specs=[_spec(governance, model, order[:position]) for position, model in enumerate(order)],
        partitions_def=daily_partitions(),
        can_subset=True,
        pool=LAKE_POOL,
        description="Computes the derived metrics of the day; one whose model or inputs are at fault is blocked.",
    )
    def derived_metrics(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[Any]]:
        chosen = {by_key[key] for key in context.selected_asset_keys}
        current = governance_of(lake.settings.project)
        queries = {str(model.header.metric): model.sql for model in current.derived}
        everything = len(chosen) == len(by_key)
        for result in derive_metrics(lake.lake, current, day_of(context), None if everything else chosen):
            if result.reason is not None:
                context.log.warning(f"{result.metric} is blocked: {result.reason}")
            yield dg.MaterializeResult(
                asset_key=derived_key(result.metric), metadata=_metadata(result, queries[result.metric])
            )

    return [derived_metrics]


def derived_keys(governance: Governance) -> list[dg.AssetKey]:
    """Asset keys of all derived metrics."""
    return [derived_key(str(model.header.metric)) for model in governance.derived]


def derived_key(metric: str) -> dg.AssetKey:
    """Asset key of a derived metric; Dagster knows no dots in names."""
    return dg.AssetKey([DERIVED_SYSTEM, metric.replace(".", "_")])


def _spec(governance: Governance, model: ProcessingModel, earlier: list[ProcessingModel]) -> dg.AssetSpec:
    header = model.header
    contract = governance.contracts.get(header.dataset)
    return dg.AssetSpec(
        key=derived_key(str(header.metric)),
        deps=[_MODELS_KEY, *_inputs(governance, model, earlier)],
        group_name=GROUP,
        description=f"{header.description} Metric {header.metric}, model version {header.version}.",
        owners=[header.owner.strip()] if _ADDRESS.fullmatch(header.owner.strip()) else None,
        kinds={"deltalake", "sql"},
        metadata=dataset_columns(contract) if contract else None,
    )


def _inputs(governance: Governance, model: ProcessingModel, earlier: list[ProcessingModel]) -> list[dg.AssetKey]:
    """What a model waits for: its datasets in every system that delivers them, and derived metrics that it reads."""
    try:
        reads = model_reads(governance, model)
    except NotOneSelectError:
        return []  # it is blocked whatever is delivered
    datasets = set(reads.datasets)
    if "metric_samples" in datasets:
        datasets.add("metric_instances")
    delivered = [
        dataset_key(system.name, dataset)
        for system in governance.systems.values()
        for dataset in sorted(datasets)
        if dataset in system.datasets
    ]
    upstream = [str(other.header.metric) for other in earlier if other.header.metric in reads.metrics]
    return [*delivered, *map(derived_key, upstream)]


def _metadata(result: DerivationResult, query: str) -> dict[str, Any]:
    """What the asset's page shows of the day: the decision, counts and versions, no row of data."""
    metadata: dict[str, Any] = {
        "dagster/row_count": result.rows,
        "decision": result.decision,
        "instances": result.instances,
        "model_version": result.model_version,
        "model_hash": result.model_hash,
        "query": dg.MetadataValue.md(f"```sql\n{query}\n```"),
        "seconds": round(result.seconds, 3),
    }
    if result.version is not None:
        metadata["delta_version"] = result.version
    if result.reason is not None:
        metadata["blocked_because"] = result.reason
    for name, counted in (("input_versions", result.input_versions), ("points_left_out", result.points_left_out)):
        if counted:
            metadata[name] = dg.MetadataValue.json(dict(counted))
    return metadata
