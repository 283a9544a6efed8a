"""Why a derived metric is blocked before its model runs: its findings, what it derives from, what was delivered.

Each function gives the first obstacle as a sentence that says what, where and what to do, or None. Does not belong
here: running the model (``derivation_run``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Any

from omgov_assets.data_lake.lake import Lake
from omgov_assets.data_management.derivation_inputs import input_systems, maps_to
from omgov_assets.data_management.derivation_reads import METRIC_TABLES, ModelReads
from omgov_assets.data_management.derivation_run import OUTPUT
from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.model_findings import ModelFinding
from omgov_assets.model_management.processing_models import ProcessingModel


def obstacle_in_model(governance: Governance, model: ProcessingModel, findings: Iterable[ModelFinding]) -> str | None:
    """A critical finding on the model, or something that it gives and the firm does not have."""
    own = [one for one in findings if one.model == model.header.metric and one.severity == "critical"]
    if own:
        first = min(own)
        more = f" ({len(own) - 1} more critical findings)" if len(own) > 1 else ""
        return f"{first.path}:{first.line}:{first.column}: {first.problem} [{first.code}]; {first.remedy}{more}"
    if model.header.metric not in {metric.metric for metric in governance.metrics}:
        return (
            f"{model.path.name}: {model.header.metric} is no metric of the standard; define it in "
            "governance/standard/metric_definitions"
        )
    if model.header.dataset not in OUTPUT or model.header.dataset not in governance.contracts:
        return (
            f"{model.path.name}: header.dataset says {model.header.dataset!r}, which is no dataset of metrics that the "
            f"firm has; say one of {', '.join(OUTPUT)}"
        )
    return None


def obstacle_upstream(upstream: Collection[str], derived: Mapping[str, int]) -> str | None:
    """A derived metric that the model reads and that was not derived.

    Args:
        upstream: derived metrics that the model reads.
        derived: fingerprints of the metrics that were derived that day.
    """
    blocked = sorted(metric for metric in upstream if not derived.get(metric))
    if not blocked:
        return None
    return f"it derives from {', '.join(blocked)}, which is blocked itself or was not derived; remove that reason first"


def obstacle_in_inputs(
    lake: Lake,
    governance: Governance,
    model: ProcessingModel,
    reads: ModelReads,
    upstream: Collection[str],
    ledger: Iterable[Mapping[str, Any]],
    day: date,
) -> str | None:
    """An input that is refused, absent, or delivered by a part of its systems alone.

    Args:
        lake: the lake.
        governance: control information.
        model: the model.
        reads: what it reads.
        upstream: derived metrics that it reads.
        ledger: entries of the day.
        day: business day.
    """
    refused = {(one["system"], one["dataset"]): one for one in ledger if one["decision"] == "refused"}
    for dataset, systems in input_systems(governance, reads).items():
        if not systems and not upstream and dataset in reads.datasets:
            return _no_source(governance, model, dataset, reads)
        for system in systems:
            if entry := refused.get((system, dataset)):
                return (
                    f"{system}/{dataset} of {day} was refused: {entry['reason']}; once it is admitted, run {day} again"
                )
        absent = [system for system in systems if not lake.has_day(f"{system}/{dataset}", day)]
        if absent:
            tables = ", ".join(f"{system}/{dataset}" for system in absent)
            part = (
                f"no system delivered {dataset}"
                if len(absent) == len(systems)
                else f"only {len(systems) - len(absent)} of {len(systems)} systems delivered {dataset}, and a number "
                "over a part of the firm would be wrong"
            )
            return f"{tables} hold{'s' if len(absent) == 1 else ''} nothing for {day}: {part}; ask for the delivery"
    return None


def _no_source(governance: Governance, model: ProcessingModel, dataset: str, reads: ModelReads) -> str:
    if dataset in METRIC_TABLES and any(dataset in system.datasets for system in governance.systems.values()):
        unmapped = sorted(
            metric
            for metric in reads.metrics
            if not any(maps_to(governance, system, [metric]) for system in governance.systems)
        )
        return (
            f"{model.path.name} reads {', '.join(unmapped or sorted(reads.metrics))} from {dataset}, which no system "
            "that delivers it maps a metric to; map one in governance/systems/<system>/metric_mappings.yaml"
        )
    return f"{model.path.name} reads {dataset}, which no business system delivers; declare it in a defs.yaml"
