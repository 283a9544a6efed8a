"""Metrics that a derive model names: that they are in the standard, in use, and fit into its window.

Does not belong here: what derived metrics have to do with each other (``derivations``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from omgov_assets.model_management.model_check.faults import Fault, header_place
from omgov_assets.model_management.model_check.study import NamedMetric
from omgov_assets.model_management.processing_models import ProcessingModel
from omgov_assets.model_management.standard_metrics import StandardMetric


def reference_faults(
    model: ProcessingModel,
    named: Iterator[NamedMetric] | list[NamedMetric],
    standard: Mapping[str, StandardMetric],
    intervals: Mapping[str, int],
) -> Iterator[Fault]:
    """Faults of the metrics that a derive model computes and reads.

    Args:
        model: the model.
        named: literals that it compares with a column ``metric``.
        standard: the metric standard by name.
        intervals: seconds between two values, of derived metrics by their models.
    """
    computed = model.header.metric or ""
    yield from _faults_of(computed, header_place(model, "metric"), standard, "computes")
    read: dict[str, None] = {}
    for reference in named:
        yield from _faults_of(reference.metric, reference.place, standard, "reads" if reference.is_read else "names")
        if reference.is_read:
            read[reference.metric] = None
    window_s = model.header.window_s or 0
    short = {metric: intervals.get(metric, standard[metric].interval_s) for metric in read if metric in standard}
    short = {metric: interval_s for metric, interval_s in short.items() if window_s < 2 * interval_s}
    if short:
        slowest = max(short, key=lambda metric: (short[metric], metric))
        problem = f"the window of {window_s} s is shorter than two intervals of {slowest}, {short[slowest]} s each"
        place = header_place(model, "window_s")
        yield Fault("window_too_short", place, problem, f"take a window of at least {2 * short[slowest]} s")


def _faults_of(
    metric: str, place: tuple[int, int], standard: Mapping[str, StandardMetric], verb: str
) -> Iterator[Fault]:
    found = standard.get(metric)
    if found is None:
        near = difflib.get_close_matches(metric, standard, n=2)
        remedy = f"write {' or '.join(near)}" if near else "name a metric of the standard, or define it there"
        yield Fault(
            "unknown_metric", place, f"the model {verb} {metric!r}, which is not in the metric standard", remedy
        )
    elif found.retired and verb != "names":
        since = f" since {found.since}" if found.since else ""
        problem = f"the model {verb} {metric}, which is {found.stability}{since}"
        remedy = f"use {found.renamed_to}" if found.renamed_to else f"do without it: {found.reason}"
        yield Fault("retired_metric", place, problem, remedy)
