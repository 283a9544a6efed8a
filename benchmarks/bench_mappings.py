"""Resolving 20,000 source metrics by 500 mapping rules, and ranking suggestions for them.

`make bench` runs it. NAMES and RULES in the environment change the size. One JSON object per shape of rules: seconds
here, seconds of one loop over all rules with Python's own matcher for a sample of the names (scaled to all of them),
and the ratio of the two. The shapes go from what firms write to the worst: every rule a regex that matches every name.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from omgov_assets.model_management.mapping_suggestions import SourceMetric, suggest
from omgov_assets.model_management.metric_mappings import MetricMapping, resolve
from omgov_assets.model_management.name_words import load_glossary
from omgov_assets.model_management.standard_metrics import load_standard_metrics
from omgov_assets.model_management.units import UnitTable

NAMES = int(os.environ.get("NAMES", "20000"))
RULES = int(os.environ.get("RULES", "500"))
PROJECT = Path(__file__).resolve().parents[1]
SAMPLED = 500

SHAPES: dict[str, Callable[[int], dict[str, object]]] = {
    "exact names": lambda number: {"match": f"os_area{number:03}_disk_{number}_utilization", "metric": "x"},
    "globs with a suffix": lambda number: {"match": f"*_area{number:03}_*_utilization", "metric": "x"},
    "regexes with captures": lambda number: {
        "regex": rf"(?P<family>[a-z]+)_area{number:03}_(?P<part>[a-z]+)_(?P<id>\d+)_utilization",
        "metric": "{family}.{part}",
        "attributes": {"id": "{id}"},
    },
    "regexes that match everything": lambda number: {
        "regex": rf"(?P<family>[a-z]+)_.*_(?P<part>[a-z]+)_(?P<id>\d+)_(utilization|never{number})",
        "metric": "{family}.{part}",
        "attributes": {"id": "{id}"},
        "overrides": True,
    },
}


def main() -> None:
    """Resolve the names by each shape of rules, then rank suggestions for all of them."""
    names = [f"os_area{number % RULES:03}_disk_{number}_utilization" for number in range(NAMES)]
    for shape, rule in SHAPES.items():
        mappings = tuple(MetricMapping.model_validate(rule(number)) for number in range(RULES))
        started = time.monotonic()
        mapped = len(resolve(mappings, names, {"x", "os.disk"}).mapped)
        seconds = time.monotonic() - started
        naive = naive_seconds(mappings, names)
        report(shape, seconds, naive, mapped)
    units = UnitTable.load(PROJECT / "governance" / "standard" / "unit_spellings.yaml")
    standard = load_standard_metrics(PROJECT / "governance" / "standard" / "metric_definitions", units)
    started = time.monotonic()
    suggest([SourceMetric(name, "%") for name in names], standard, units, load_glossary(PROJECT))
    print(json.dumps({"stage": "suggestions", "seconds": round(time.monotonic() - started, 2)}), flush=True)


def report(shape: str, seconds: float, naive: float, mapped: int) -> None:
    """Print one measurement."""
    result = {
        "stage": shape,
        "seconds": round(seconds, 2),
        "python_loop_seconds": round(naive, 2),
        "ratio": round(naive / seconds, 1),
        "mapped": mapped,
    }
    print(json.dumps(result), flush=True)


def naive_seconds(mappings: Sequence[MetricMapping], names: Sequence[str]) -> float:
    """What a loop over all rules takes that looks for contradictions, too: it cannot stop at the first match."""
    patterns = [
        re.compile(mapping.regex or re.escape(mapping.pattern).replace(r"\*", ".*"), re.DOTALL) for mapping in mappings
    ]
    sample = names[:: max(1, len(names) // SAMPLED)]
    started = time.monotonic()
    for name in sample:
        for pattern in patterns:
            pattern.fullmatch(name)
    return (time.monotonic() - started) * len(names) / len(sample)


if __name__ == "__main__":
    main()
