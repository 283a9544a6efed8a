"""What derived metrics have to do with each other and with what business systems deliver: order, cycles, duplicates.

Does not belong here: a single model (``metric_references``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product

from omgov_assets.model_management.governance import Governance
from omgov_assets.model_management.metric_mappings import MetricMapping
from omgov_assets.model_management.model_check.faults import Fault, header_place
from omgov_assets.model_management.model_check.study import NamedMetric
from omgov_assets.model_management.processing_models import ProcessingModel

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_WORDS = re.compile(r"\w+(\|\w+)*")


def ordered(reads: Mapping[str, Collection[str]]) -> list[str]:
    """Derived metrics so that each comes after those it reads; those of a cycle, and by name, where nothing else says.

    Args:
        reads: metrics that each derived metric is computed from.
    """
    done: list[str] = []
    waiting = sorted(reads)
    while waiting:
        ready = [metric for metric in waiting if not any(read in waiting and read != metric for read in reads[metric])]
        taken = ready or waiting[:1]
        done += taken
        waiting = [metric for metric in waiting if metric not in taken]
    return done


def cycle_faults(metric: str, named: Iterable[NamedMetric], reads: Mapping[str, Collection[str]]) -> Iterator[Fault]:
    """A fault at the first literal by which a derived metric is, by any way, computed from itself."""
    for reference in named:
        way = _way(reference.metric, metric, reads) if reference.is_read else None
        if way is not None:
            problem = f"{metric} is computed from itself: {' <- '.join([metric, *way])}"
            yield Fault("derivation_cycle", reference.place, problem, "derive one of them from delivered metrics alone")
            return


def duplicate_faults(model: ProcessingModel, governance: Governance) -> Iterator[Fault]:
    """A fault where a business system's mappings already take one of its metrics to the derived one."""
    metric = model.header.metric or ""
    for system in governance.systems.values():
        mapping = next((mapping for mapping in system.mappings if metric in _results(mapping)), None)
        if mapping is not None:
            problem = f"{metric} is delivered by {system.name} already, which maps {mapping.pattern} to it"
            remedy = "derive a metric of another name, or remove the mapping"
            yield Fault("duplicate_output", header_place(model, "metric"), problem, remedy)
            return


def _way(start: str, goal: str, reads: Mapping[str, Collection[str]]) -> list[str] | None:
    """The shortest way from one derived metric to another along what they read."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way
        for following in sorted(reads.get(way[-1], ())):
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None


def _results(mapping: MetricMapping) -> set[str]:
    """The metrics that a mapping can give, as far as its pattern lists what its groups match."""
    names = _PLACEHOLDER.findall(mapping.metric)
    choices = []
    for name in names:
        found = re.search(rf"\(\?P<{name}>([^()]*)\)", mapping.regex or "")
        if found is None or not _WORDS.fullmatch(found[1]):
            return set()
        choices.append([(name, word) for word in found[1].split("|")])
    results = set()
    for chosen in product(*choices):
        metric = mapping.metric
        for name, word in chosen:
            metric = metric.replace(f"{{{name}}}", word)
        results.add(metric)
    return results
