"""A business system as a Dagster component: its datasets as assets, its policies as asset checks.

``governance/systems/<system>/defs.yaml`` declares one. The assets take the day's deliveries through the gate; the
checks, one per dataset and quality dimension, evaluate the policies on what is in the lake.
"""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from omgov_assets.components.check_results import check_result
from omgov_assets.components.column_schema import dataset_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of, governance_of, policy_set_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.data_lake.settings import Settings
from omgov_assets.data_management.collection import collect_system
from omgov_assets.model_management.business_systems import BusinessSystem, SourceDataset
from omgov_assets.quality_policy.check_history import earlier_results
from omgov_assets.quality_policy.evaluation import evaluate_dataset
from omgov_assets.quality_policy.policies import PolicySet
from omgov_assets.quality_policy.violations import VIOLATIONS

VIOLATIONS_KEY = dg.AssetKey(VIOLATIONS.split("/"))
CONTROL_KEYS = [
    dg.AssetKey(["control", name])
    for name in ("standard_metrics", "metric_mappings", "quality_policies", "data_contracts", "baseline_metrics")
]


class BusinessSystemComponent(dg.Component, dg.Model, dg.Resolvable):
    """A business system: what it delivers, in which format, and whose it is.

    Attributes:
        system: name of the system, as its folder.
        title: name for people.
        owner: data engineer who answers for the deliveries (e-mail).
        datasets: transport by dataset: format, encoding, delimiter, table, source.
    """

    system: str
    title: str
    owner: str
    datasets: dict[str, dict[str, Any]]

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets and checks of the system; raises ``GovernanceError`` where its folder is at fault."""
        project = Settings.from_environment().project
        system = governance_of(project).systems[self.system]
        assets: list[dg.AssetsDefinition] = [_deliveries(system)]
        policy_sets = {name: policy_set_of(project, self.system, name) for name in system.datasets}
        if any(policy_set.policies for policy_set in policy_sets.values()):
            assets.append(_policy_checks(system, policy_sets))
        return dg.Definitions(assets=assets)


def dataset_key(system: str, dataset: str) -> dg.AssetKey:
    """Asset key of a dataset of a business system."""
    return dg.AssetKey([system, dataset])


def _deliveries(system: BusinessSystem) -> dg.AssetsDefinition:
    specs = [
        dg.AssetSpec(
            key=dataset_key(system.name, name),
            deps=CONTROL_KEYS,
            group_name=system.name,
            description=_description(system, dataset),
            owners=[system.owner] if "@" in system.owner else None,
            kinds={"deltalake", dataset.transport.format},
            metadata=dataset_columns(dataset.standard_contract),
        )
        for name, dataset in system.datasets.items()
    ]

    @dg.multi_asset(
        name=f"{system.name}_deliveries",
        specs=specs,
        partitions_def=daily_partitions(),
        can_subset=True,
        pool=LAKE_POOL,
        # Before any policy of any system: policies compare systems with each other.
        op_tags={"dagster/priority": "1"},
        description=f"Takes the day's deliveries of {system.title} through the gate into the lake.",
    )
    def deliveries(context: dg.AssetExecutionContext, lake: LakeResource) -> Iterator[dg.MaterializeResult[Any]]:
        day = day_of(context)
        settings = lake.settings
        selected = [name for name in system.datasets if dataset_key(system.name, name) in context.selected_asset_keys]
        governance = governance_of(settings.project)
        for name in selected:
            entries = collect_system(settings, lake.lake, governance, system, day, [name])[name]
            for entry in entries:
                if entry["decision"] == "refused":
                    context.log.warning(f"{system.name}/{name}: batch refused: {entry['reason']}")
            if not entries:
                context.log.warning(f"{system.name}/{name}: nothing was delivered for {day}")
            yield dg.MaterializeResult(asset_key=dataset_key(system.name, name), metadata=_batch_metadata(entries, day))

    return deliveries


def _policy_checks(system: BusinessSystem, policy_sets: dict[str, PolicySet]) -> dg.AssetChecksDefinition:
    # What a policy requires of the whole firm cannot be a dependency: checks wait for the blocking checks of what they
    # depend on, so that those of two systems would wait for each other. The deliveries' priority sees to the order.
    elsewhere = sorted(
        {
            table
            for policy_set in policy_sets.values()
            for policy in policy_set.policies
            for table in policy.required_tables(system.name, {})
            if not table.startswith(f"{system.name}/")
        }
    )
    specs = [
        dg.AssetCheckSpec(
            name=dimension,
            asset=dataset_key(system.name, dataset),
            additional_deps=[dg.AssetKey(table.split("/")) for table in elsewhere],
            # Downstream waits for blocking checks alone; bad data is of severity WARN, so that it runs on bad days too.
            blocking=True,
            description=f"Policies of {dimension} on {system.name}/{dataset}.",
            partitions_def=daily_partitions(),
        )
        for dataset, policy_set in policy_sets.items()
        for dimension in policy_set.dimensions
    ]

    @dg.multi_asset_check(
        name=f"{system.name}_policies",
        specs=specs,
        can_subset=True,
        pool=LAKE_POOL,
        description=f"Evaluates the quality policies on what {system.title} has in the lake.",
    )
    def policies(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> Iterator[dg.AssetCheckResult]:
        day = day_of(context)
        governance = governance_of(lake.settings.project)
        earlier = earlier_results(lake.lake, system.name, day)
        for dataset, policy_set in policy_sets.items():
            wanted = [
                dimension
                for dimension in policy_set.dimensions
                if dg.AssetCheckKey(dataset_key(system.name, dataset), dimension) in context.selected_asset_check_keys
            ]
            if not wanted:
                continue
            complete = len(wanted) == len(policy_set.dimensions)
            results = evaluate_dataset(lake.lake, governance, policy_set, day, None if complete else wanted)
            for dimension in wanted:
                of_dimension = [r for r in results if r.policy.meta.quality_dimension == dimension]
                yield check_result(policy_set, dimension, of_dimension, day, earlier)
        if VIOLATIONS_KEY not in context.job_def.asset_layer.selected_asset_keys:
            # The stream has changed without its asset: what hangs on it is shown as out of date.
            context.op_execution_context.log_event(
                dg.AssetMaterialization(
                    VIOLATIONS_KEY, description=f"Checks of {system.name} alone.", partition=context.partition_key
                )
            )

    return policies


def _description(system: BusinessSystem, dataset: SourceDataset) -> str:
    contract = dataset.standard_contract
    return (
        f"{dataset.name} of {system.title}, one partition per business day. Delivered as {dataset.transport.format}, "
        f"conformed by model version {dataset.model.header.version} to contract {contract.dataset} {contract.version}."
    )


def _batch_metadata(entries: list[dict[str, Any]], day: date) -> dict[str, Any]:
    """What the asset's page shows of the day: counts and one row per batch, no row of data."""
    admitted = [entry for entry in entries if entry["decision"] in {"admitted", "partial"}]
    records = [
        dg.TableRecord(
            {
                "file": entry["file_name"].rpartition("/")[2],
                "decision": entry["decision"],
                "reason": entry["reason"] or _counts(entry["quarantine_reasons"]),
                "rows_in": entry["rows_in"],
                "rows_admitted": entry["rows_admitted"],
                "rows_quarantined": entry["rows_quarantined"],
                "rows_warned": entry["rows_warned"] or 0,
                "warnings": _counts(entry["warnings"]),
                "model": entry["model_version"] or "",
                "batch": entry["batch_id"],
            }
        )
        for entry in entries
    ]
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(entry["rows_admitted"] for entry in admitted),
        "rows_in": sum(entry["rows_in"] for entry in entries),
        "rows_quarantined": sum(entry["rows_quarantined"] for entry in admitted),
        "rows_warned": sum(entry["rows_warned"] or 0 for entry in admitted),
        "decision": ", ".join(sorted({entry["decision"] for entry in entries})) or f"nothing was delivered for {day}",
    }
    if records:
        metadata["batches"] = dg.MetadataValue.table(records)
    refusals = [entry["reason"] for entry in entries if entry["decision"] == "refused"]
    if refusals:
        metadata["refused_because"] = "; ".join(refusals)
    if refusals or metadata["rows_quarantined"]:
        metadata["recovery"] = dg.MetadataValue.md(
            "- `omgov admission show BATCH` lists what was refused.\n"
            "- Once source, contract or model is mended: job `replay_refused`, or `omgov replay`."
        )
    return metadata


def _counts(text: str | None) -> str:
    """A JSON object of counts, as the ledger keeps it, in words."""
    return ", ".join(f"{name} ({count:,})" for name, count in json.loads(text or "{}").items())
