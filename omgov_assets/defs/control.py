"""Control information as assets: which standard, contracts, mappings, models and policies a day was judged by."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from omgov_assets.components.column_schema import platform_columns
from omgov_assets.components.firm import LAKE_POOL, daily_partitions, day_of, governance_of, policy_set_of
from omgov_assets.components.lake_resource import LakeResource
from omgov_assets.model_management.contract_publication import DATA_CONTRACTS, publish_data_contracts
from omgov_assets.model_management.control import (
    METRIC_DEFINITIONS,
    deleted_metrics,
    publish_baseline_metrics,
    publish_documents,
    publish_metric_mappings,
    publish_processing_models,
    publish_standard_metrics,
    published_rows,
)
from omgov_assets.model_management.control_diff import Difference, Publication, publication
from omgov_assets.model_management.provenance import provenance_of
from omgov_assets.quality_policy.policies import PolicySet
from omgov_assets.quality_policy.policy_validation import examine_policies
from omgov_assets.quality_policy.publication import QUALITY_POLICIES, publish_quality_policies

DESCRIPTIONS = {
    "documents": "The files of governance/ and expectations/ as published that day: version, hash, author, commit.",
    "standard_metrics": "The metric standard as published that day.",
    "baseline_metrics": "What every configuration item of a class must report, as published that day.",
    "data_contracts": "The data contracts as published that day, and those that were refused.",
    "metric_mappings": "The rules that map source metrics to the standard, as published that day.",
    "processing_models": "The processing models as published that day.",
    "quality_policies": "The quality policies as published that day.",
}
CONTRACTS_CHECK = "consistency"
POLICIES_CHECK = "conformity"
NAMED_DIFFERENCES = 20
LONGEST_VALUE = 200


def build_control_information() -> dg.AssetsDefinition:
    """The multi-asset that publishes ``control/*``."""
    contracts = dg.AssetKey(DATA_CONTRACTS.split("/"))
    contracts_check = dg.AssetCheckKey(contracts, CONTRACTS_CHECK)
    policies_check = dg.AssetCheckKey(dg.AssetKey(QUALITY_POLICIES.split("/")), POLICIES_CHECK)

    @dg.multi_asset(
        name="control_information",
        specs=[
            dg.AssetSpec(
                ["control", name],
                group_name="control",
                description=text,
                kinds={"deltalake", "yaml"},
                metadata=platform_columns(f"control/{name}"),
            )
            for name, text in DESCRIPTIONS.items()
        ],
        check_specs=[
            dg.AssetCheckSpec(
                key.name,
                asset=key.asset_key,
                # Deliveries wait for it; what is at fault is of severity WARN and keeps nothing else from running.
                blocking=True,
                description=description,
                partitions_def=daily_partitions(),
            )
            for key, description in (
                (contracts_check, "Every data contract follows from the one published before it."),
                (
                    policies_check,
                    "Every quality policy can be met, names columns that are there, and contradicts no other.",
                ),
            )
        ],
        partitions_def=daily_partitions(),
        can_subset=True,
        pool=LAKE_POOL,
        description="Publishes governance/ and expectations/ of the project as tables of the day.",
    )
    def control_information(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        day = day_of(context)
        chosen = {key.path[-1] for key in context.selected_asset_keys}
        publishers = _publishers(lake, day) if chosen else {}
        for name in DESCRIPTIONS:
            if name not in chosen:
                continue
            warnings = publishers[name]()
            for warning in warnings:
                context.log.warning(warning)
            yield dg.MaterializeResult(
                asset_key=dg.AssetKey(["control", name]),
                metadata=_metadata(publication(lake.lake, name, day), warnings),
            )
        if contracts_check in context.selected_asset_check_keys:
            yield _contracts_result(contracts_check, published_rows(lake.lake, DATA_CONTRACTS, day), day)
        if policies_check in context.selected_asset_check_keys:
            yield _policies_result(policies_check, lake, day)

    return control_information


def _publishers(resource: LakeResource, day: date) -> dict[str, Callable[[], list[str]]]:
    """By asset: what publishes it and gives warnings for people."""
    lake, project = resource.lake, resource.settings.project
    governance = governance_of(project)
    provenance = provenance_of(project)
    policy_sets = _policy_sets(project)

    def publish_metrics() -> list[str]:
        publish_standard_metrics(lake, governance, day, provenance)
        return [
            f"{row['metric']} is gone from {METRIC_DEFINITIONS} and is published as withdrawn since {row['since']}: "
            f"define it there again, with stability withdrawn and a reason (it stood in {row['document']})"
            for row in deleted_metrics(lake, governance, day)
        ]

    def silently(publish: Callable[[], object]) -> Callable[[], list[str]]:
        def published() -> list[str]:
            publish()
            return []

        return published

    return {
        "standard_metrics": publish_metrics,
        "data_contracts": silently(partial(publish_data_contracts, lake, governance, day, provenance)),
        "quality_policies": silently(partial(publish_quality_policies, lake, policy_sets, day, project, provenance)),
        **{
            name: silently(partial(publish, lake, governance, day, provenance))
            for name, publish in (
                ("documents", publish_documents),
                ("baseline_metrics", publish_baseline_metrics),
                ("metric_mappings", publish_metric_mappings),
                ("processing_models", publish_processing_models),
            )
        },
    }


def _policy_sets(project: Path) -> list[PolicySet]:
    return [
        policy_set_of(project, system.name, dataset)
        for system in governance_of(project).systems.values()
        for dataset in system.datasets
    ]


def _policies_result(key: dg.AssetCheckKey, resource: LakeResource, day: date) -> dg.AssetCheckResult:
    project = resource.settings.project
    governance = governance_of(project)
    findings = examine_policies(resource.lake, governance, _policy_sets(project), day)
    metadata: dict[str, Any] = {"day": day.isoformat(), "faults": len(findings)}
    if findings:
        metadata["findings"] = dg.MetadataValue.table([dg.TableRecord(asdict(finding)) for finding in findings])
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=not findings,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(findings)} faults; {findings[0].policy_id}: {findings[0].problem}; {findings[0].remedy}"
        if findings
        else "no policy is at fault",
        metadata=metadata,
    )


def _metadata(published: Publication, warnings: list[str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "dagster/row_count": published.rows,
        "content_hash": published.content_hash,
        "authors": ", ".join(published.authors) or "not known",
        "compared_with": published.compared_with.isoformat() if published.compared_with else "never published before",
        **{change: published.number_of(change) for change in ("added", "removed", "changed")},
    }
    if published.differences:
        shown = published.differences[:NAMED_DIFFERENCES]
        metadata["what_changed"] = dg.MetadataValue.table([_record(difference) for difference in shown])
    if warnings:
        metadata["warnings"] = dg.MetadataValue.md("\n".join(f"- {warning}" for warning in warnings))
    return metadata


def _record(difference: Difference) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "change": difference.change,
            "key": difference.key,
            "field": difference.field,
            "before": (difference.before or "")[:LONGEST_VALUE],
            "after": (difference.after or "")[:LONGEST_VALUE],
        }
    )


def _contracts_result(check: dg.AssetCheckKey, rows: list[dict[str, Any]], day: date) -> dg.AssetCheckResult:
    """The verdict on the contracts of a day: failed where one was refused, and where none was published at all."""
    refused = [row for row in rows if row["decision"] == "refused"]
    metadata: dict[str, Any] = {"contracts": len(rows), "refused": len(refused), "day": day.isoformat()}
    # A published contract has a reason where its version says less than its change.
    remarks = [row for row in rows if row["decision"] == "published" and row["reason"]]
    for name, found in (("refused_contracts", refused), ("remarks", remarks)):
        if found:
            metadata[name] = dg.MetadataValue.table([_contract_record(row) for row in found])
    if not rows:
        sentence = f"not evaluated: no data contract was published for {day}"
    elif refused:
        sentence = f"{len(refused)} of {len(rows)} data contracts refused: {refused[0]['reason']}"
    else:
        sentence = f"all {len(rows)} data contracts published"
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=bool(rows) and not refused,
        severity=dg.AssetCheckSeverity.WARN,
        description=sentence,
        metadata=metadata,
    )


def _contract_record(row: dict[str, Any]) -> dg.TableRecord:
    return dg.TableRecord({name: row[name] or "" for name in ("system", "dataset", "version", "reason", "document")})
