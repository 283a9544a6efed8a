"""Baseline metrics: what every CI of a class must report.

Belongs here: `governance/standard/baseline_metrics.yaml` as checked objects. Does not belong here: which CI lacks what
(a quality policy says so, over the view `expected_instances`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from omgov_assets.model_management.documents import parse, read_yaml
from omgov_assets.model_management.errors import GovernanceError
from omgov_assets.model_management.standard_metrics import CiClass, StandardMetric


class BaselineRule(BaseModel):
    """Metrics that every CI of a class reports.

    Attributes:
        ci_class: class of CI.
        tiers: tiers of CI that the rule is for; empty for all, also for CIs without a tier.
        metrics: standard metrics, each of which is to be reported with at least one set of attributes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    ci_class: CiClass
    # YAML knows lists only, hence not strict.
    tiers: Annotated[tuple[int, ...], Field(strict=False)] = ()
    metrics: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    owner: str = ""
    baselines: tuple[BaselineRule, ...]


def load_baseline_metrics(path: Path, metrics: Sequence[StandardMetric]) -> tuple[BaselineRule, ...]:
    """Read the baselines in their order; none where there is no such file.

    Args:
        path: YAML file with one list `baselines`.
        metrics: the metric standard.

    Raises:
        GovernanceError: the first mistake, among them a metric that is not in the standard, is deprecated or withdrawn,
            or is not for CIs of the class, and one that is asked for twice.
    """
    if not path.is_file():
        return ()
    document = parse(_Document, read_yaml(path), path)
    standard = {metric.metric: metric for metric in metrics}
    asked: dict[tuple[str, int | None, str], str] = {}
    for number, rule in enumerate(document.baselines):
        for position, name in enumerate(rule.metrics):
            key = f"baselines[{number}].metrics[{position}]"
            metric = standard.get(name)
            if metric is None:
                remedy = "name one of governance/standard/metric_definitions or define it there"
                raise GovernanceError(path, key, f"{name!r} is not a standard metric", remedy)
            if metric.retired:
                remedy = f"require {metric.renamed_to}" if metric.renamed_to else "remove it"
                raise GovernanceError(path, key, f"{name} is {metric.stability}", remedy)
            if rule.ci_class not in metric.ci_classes:
                problem = f"{name} is for {', '.join(metric.ci_classes)}, not for {rule.ci_class}"
                raise GovernanceError(path, key, problem, "remove it, or add the class to the metric's ci_classes")
            for tier in rule.tiers or (None,):
                wanted = (rule.ci_class, tier, name)
                if wanted in asked:
                    raise GovernanceError(path, key, f"{name} is asked for in {asked[wanted]} already", "remove it")
                asked[wanted] = key
    return document.baselines
